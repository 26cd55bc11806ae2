//! buildah: builds into its own store and pushes from there, so that layers of a base which the registry has are not packed again.

use std::{collections::BTreeSet, path::Path};

use skep_model::{Digest, DockerBuild, Emit, Redactor};
use skep_registry::Index;
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
    let platforms = request.platforms.len();
    if platforms <= 1 {
        let id_file = account.folder().join("id");
        let mut command = command(request, spec, &account, Cached::Yes);
        command.arg("--iidfile").arg(&id_file).arg(&request.image.context);
        run(request.name, &mut command, &request.image.secrets.redactor(), emit).await?;
        let id = read(&id_file)?;
        return Ok(Stored::Image(id.strip_prefix("sha256:").unwrap_or(&id).to_owned()));
    }
    let list = format!("skep-{}-list", request.repository.repository.replace('/', "-"));
    let mut built = 0;
    // For what begins `FROM scratch`, buildah up to 1.28 takes one platform's layers from its cache for the next.
    for cached in [Cached::Yes, Cached::No] {
        // What an earlier build left in the list would stay in it.
        let _ = Command::from(skep_process::build("buildah")).args(["manifest", "rm", &list]).output().await;
        let mut command = command(request, spec, &account, cached);
        command.args(["--manifest", &list]).arg(&request.image.context);
        run(request.name, &mut command, &request.image.secrets.redactor(), emit).await?;
        built = images_in(&list).await?;
        if built == platforms {
            return Ok(Stored::List(list));
        }
    }
    let name = request.name.to_owned();
    Err(BuildError::Platforms { image: name, wanted: platforms, built })
}

/// Whether layers that were built before are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cached {
    Yes,
    No,
}

/// `buildah build` with all but what names its result.
fn command(request: &BuildRequest<'_>, spec: &DockerBuild, account: &Account, cached: Cached) -> Command {
    let mut command = Command::from(skep_process::build("buildah"));
    // A build that fails leaves no container behind.
    command.args(["build", "--layers", "--force-rm", "--authfile"]).arg(account.file());
    describe(&mut command, request, spec);
    if cached == Cached::No {
        command.arg("--no-cache");
    } else if request.keep_cache {
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
    command
}

/// How many images a list of the store names.
async fn images_in(list: &str) -> Result<usize, BuildError> {
    let unreadable = |why: String| BuildError::NoTool { why: format!("`buildah manifest inspect`: {why}") };
    let output =
        Command::from(skep_process::build("buildah")).args(["manifest", "inspect", list]).output().await;
    let output = output.map_err(|error| unreadable(error.to_string()))?;
    let index: Index =
        serde_json::from_slice(&output.stdout).map_err(|error| unreadable(error.to_string()))?;
    let images: BTreeSet<&Digest> = index.manifests.iter().map(|entry| &entry.digest).collect();
    Ok(images.len())
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
        let mut command = Command::from(skep_process::build("buildah"));
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
        run(image, &mut command, &Redactor::default(), emit).await?;
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
