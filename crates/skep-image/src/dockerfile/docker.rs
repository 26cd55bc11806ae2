//! Docker's buildx: builds into an OCI layout, so that one push and one login serve every builder.

use skep_model::{DockerBuild, Emit, Event, Platform, Redactor};
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    account::{Account, user_folder},
    describe,
    layout::Layout,
    run,
};
use crate::{BuildError, BuildRequest};

/// The builder that Skep makes where there is none that can write a layout.
const BUILDER: &str = "skep";

pub(super) async fn build(
    request: &BuildRequest<'_>,
    spec: &DockerBuild,
    emit: &Emit,
) -> Result<(Layout, TempDir), BuildError> {
    let builder = request.runs.tools.docker_builder(request.name, emit).await?;
    if let Some(missing) = request.platforms.iter().find(|wanted| !builder.builds_for(wanted)) {
        return Err(BuildError::NoEmulation {
            image: request.name.to_owned(),
            platform: Box::new(missing.clone()),
            builder: builder.name.clone(),
            platforms: builder.platforms.clone(),
        });
    }
    let account = Account::open(request.client)?;
    let folder = tempfile::Builder::new().prefix("skep-image-").tempdir();
    let folder = folder.map_err(|source| BuildError::File {
        action: "write below",
        path: std::env::temp_dir(),
        source,
    })?;
    let mut command = Command::from(skep_process::build("docker"));
    command.args(["buildx", "build", "--builder", &builder.name]);
    // An attestation has the time in it: the same inputs would make another digest each time.
    command.args(["--progress", "plain", "--provenance=false", "--sbom=false"]);
    describe(&mut command, request, spec);
    if request.keep_cache {
        let cache = format!("type=registry,ref={}-cache:latest", request.repository);
        command.args(["--cache-from", &cache, "--cache-to", &format!("{cache},mode=max")]);
    }
    command.arg("--output").arg(format!("type=oci,tar=false,dest={}", folder.path().display()));
    command.arg(&request.image.context).env("DOCKER_CONFIG", account.folder());
    if std::env::var_os("BUILDX_CONFIG").is_none()
        && let Some(user) = user_folder()
    {
        command.env("BUILDX_CONFIG", user.join("buildx"));
    }
    run(request.name, &mut command, &request.image.secrets.redactor(), emit).await?;
    let layout = Layout::read(folder.path())?;
    Ok((layout, folder))
}

/// A buildx builder that is up.
#[derive(Debug, Clone)]
pub(super) struct Builder {
    name: String,
    /// What it builds for, as buildx prints it.
    platforms: Vec<String>,
}

impl Builder {
    fn builds_for(&self, wanted: &Platform) -> bool {
        let wanted = wanted.to_string();
        // `linux/arm/v7*` is one that was asked for; `linux/amd64` stands for `linux/amd64/v2` too.
        self.platforms.iter().map(|known| known.trim_end_matches('*')).any(|known| {
            known == wanted || known.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// The builder in use, if it can write layouts; else one of Skep's own, made once.
pub(super) async fn builder(image: &str, emit: &Emit) -> Result<Builder, BuildError> {
    let current = inspect(None).await?;
    let driver = field(&current, "Driver:").unwrap_or_default().to_owned();
    let name = if driver == "docker" || driver.is_empty() {
        if inspect(Some(BUILDER)).await.is_err() {
            let message = format!(
                "made the buildx builder `{BUILDER}`: the one in use can't write images that skep pushes"
            );
            let mut create = Command::from(skep_process::build("docker"));
            create.args(["buildx", "create", "--name", BUILDER, "--driver", "docker-container"]);
            // A registry of this machine is reached from there as from here.
            create.args(["--driver-opt", "network=host", "--bootstrap"]);
            run(image, &mut create, &Redactor::default(), emit).await?;
            emit.emit(Event::Warning { message });
        }
        BUILDER.to_owned()
    } else {
        field(&current, "Name:").unwrap_or(BUILDER).to_owned()
    };
    let up = inspect(Some(&name)).await?;
    let platforms = up.lines().filter_map(|line| line.trim().strip_prefix("Platforms:"));
    let platforms = platforms.flat_map(|list| list.split(',')).map(|one| one.trim().to_owned());
    Ok(Builder { platforms: platforms.filter(|one| !one.is_empty()).collect(), name })
}

/// What buildx says of a builder, started if it was not.
async fn inspect(name: Option<&str>) -> Result<String, BuildError> {
    let mut command = Command::from(skep_process::build("docker"));
    command.args(["buildx", "inspect", "--bootstrap"]).args(name);
    let failed = |why: String| BuildError::NoTool { why };
    let output = command.output().await.map_err(|error| failed(format!("`docker`: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(format!("`docker buildx inspect`: {said}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_as_buildx_prints_them() {
        let platforms = ["linux/amd64", "linux/amd64/v2", "linux/arm64*", "linux/arm/v7"].map(str::to_owned);
        let builder = Builder { name: "b".to_owned(), platforms: platforms.to_vec() };
        for (wanted, can) in [
            ("linux/amd64", true),
            ("linux/arm64", true),
            ("linux/arm", true),
            ("linux/arm/v6", false),
            ("linux/s390x", false),
        ] {
            assert_eq!(builder.builds_for(&wanted.parse().expect("a platform")), can, "{wanted}");
        }
    }
}
