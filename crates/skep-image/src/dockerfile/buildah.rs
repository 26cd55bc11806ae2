//! buildah: builds into its own store and pushes from there, so that layers of a base which the registry has are not packed again.

use std::path::Path;

use skep_model::{Digest, DockerBuild, Emit};
use tokio::process::Command;

use super::{account::Account, describe, run};
use crate::{Arrived, BuildError, BuildRequest, PushError, PushRequest};

/// The tag under which an image of no clean commit is pushed, always the last one; a release keeps its own by a tag of its digest.
const LAST: &str = "skep-last";

/// An image in buildah's store.
#[derive(Debug)]
pub(super) enum Stored {
    /// By its ID.
    Image(String),
    /// A list of images, one a platform, by its name in the store.
    List(String),
}

pub(super) async fn build(
    request: &BuildRequest<'_>,
    spec: &DockerBuild,
    emit: &Emit,
) -> Result<Stored, BuildError> {
    let account = Account::open(request.client)?;
    let id_file = account.folder().join("id");
    let mut command = Command::new("buildah");
    // A build that fails leaves no container behind.
    command.args(["build", "--layers", "--force-rm", "--authfile"]).arg(account.file());
    describe(&mut command, request, spec);
    if request.keep_cache {
        let cache = format!("{}-cache", request.repository);
        command.args(["--cache-from", &cache, "--cache-to", &cache]);
    }
    let registry = &request.repository.registry;
    let named = std::fs::read_to_string(&spec.dockerfile).unwrap_or_default().contains(registry.as_str())
        || spec.args.values().any(|value| value.contains(registry.as_str()))
        || request.keep_cache;
    if request.client.is_plain(registry) && named {
        // Only where a base is in that registry: the switch goes for every other one too.
        command.arg("--tls-verify=false");
    }
    let list = format!("skep-{}-list", request.repository.repository.replace('/', "-"));
    if request.platforms.len() > 1 {
        // What an earlier build left in the list would stay in it.
        let mut remove = Command::new("buildah");
        remove.args(["rmi", &list]);
        let _ = remove.output().await;
        command.args(["--manifest", &list]);
    } else {
        command.arg("--iidfile").arg(&id_file);
    }
    command.arg(&request.image.context);
    run(request.name, &mut command, emit).await?;
    if request.platforms.len() > 1 {
        return Ok(Stored::List(list));
    }
    let id = read(&id_file)?;
    Ok(Stored::Image(id.strip_prefix("sha256:").unwrap_or(&id).to_owned()))
}

impl Stored {
    pub(super) async fn push(
        &self,
        image: &str,
        request: &PushRequest<'_>,
        emit: &Emit,
    ) -> Result<Arrived, PushError> {
        // A refusal is told better by us than by a tool's last lines.
        request.client.may_push(request.target).await?;
        let account = Account::open(request.client)?;
        let digest_file = account.folder().join("digest");
        let mut command = Command::new("buildah");
        match self {
            Self::Image(_) => command.arg("push"),
            Self::List(_) => command.args(["manifest", "push", "--all"]),
        };
        command.arg("--authfile").arg(account.file()).arg("--digestfile").arg(&digest_file);
        if request.client.is_plain(&request.target.registry) {
            command.arg("--tls-verify=false");
        }
        let (Self::Image(name) | Self::List(name)) = self;
        let tag = request.tags.first().map_or(LAST, String::as_str);
        command.arg(name).arg(format!("docker://{}", request.target.tagged(tag)));
        run(image, &mut command, emit).await?;
        let text = read(&digest_file)?;
        let digest: Digest = text
            .parse()
            .map_err(|_| BuildError::Layout { path: digest_file, why: format!("`{text}` is no digest") })?;
        // How much it sent, buildah does not say.
        Ok(Arrived { digest, sent: None })
    }
}

fn read(path: &Path) -> Result<String, BuildError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| BuildError::File { action: "read", path: path.to_owned(), source })?;
    Ok(text.trim().to_owned())
}
