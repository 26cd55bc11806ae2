//! Images of a Dockerfile, built by Docker's buildx or by buildah.
//!
//! [`build`] first looks whether the same inputs were built before and the registry still has the result (`inputs`, `ignore`). If not,
//! the `tool` that this machine has builds: `docker` into a `layout` that Skep pushes like an image of its own, `buildah` into its
//! store, from which it pushes itself. `account` hands both the logins without touching a file of the user's.

mod account;
mod buildah;
mod docker;
mod ignore;
mod inputs;
mod layout;
mod tool;

use std::path::PathBuf;

use skep_model::{Digest, DockerBuild, Emit, Event, ImageRef, Redactor};
use skep_registry::OnBytes;
use tokio::process::Command;

use crate::{Arrived, BuildError, BuildRequest, PushError, PushRequest, blocking, process};

pub use ignore::{Ignore, InvalidPattern};
pub(crate) use tool::Tools;

/// An image of a Dockerfile.
#[derive(Debug)]
pub struct DockerfileImage {
    /// Its key in skep.yaml.
    pub name: String,
    inputs: Digest,
    cache_dir: PathBuf,
    at: At,
}

/// Where it is.
#[derive(Debug)]
enum At {
    /// These inputs were built before, and the registry has the image.
    Registry(Digest),
    /// In a folder of this machine, which goes with it.
    Layout(layout::Layout, #[expect(dead_code, reason = "kept until the image is pushed")] tempfile::TempDir),
    /// In buildah's store.
    Store(buildah::Stored),
}

/// Builds, or finds that it needs no building.
pub(crate) async fn build(
    request: BuildRequest<'_>,
    spec: &DockerBuild,
    emit: &Emit,
) -> Result<DockerfileImage, BuildError> {
    let (of, context, platforms) = (spec.clone(), request.image.context.clone(), request.platforms.to_vec());
    let inputs = blocking(move || inputs::digest(&of, &context, &platforms)).await?;
    let made = |at| DockerfileImage {
        name: request.name.to_owned(),
        inputs,
        cache_dir: request.cache_dir.to_owned(),
        at,
    };
    if let Some(digest) = known(&request, &inputs).await {
        return Ok(made(At::Registry(digest)));
    }
    // Images of one Dockerfile share stages: what the first has built, the others find in the builder's cache.
    let turn = request.runs.turn(&request.image.context, &spec.dockerfile);
    let _turn = turn.lock().await;
    let at = match request.runs.tools.find(request.builder).await? {
        tool::Tool::Buildah => At::Store(buildah::build(&request, spec, emit).await?),
        tool::Tool::Docker => {
            let (layout, folder) = docker::build(&request, spec, emit).await?;
            At::Layout(layout, folder)
        }
    };
    Ok(made(at))
}

/// What these inputs made, if the registry still has it.
async fn known(request: &BuildRequest<'_>, inputs: &Digest) -> Option<Digest> {
    let digest = inputs::recall(request.cache_dir, inputs, &request.repository.to_string())?;
    let image = request.repository.pinned(digest);
    // A registry that can't be asked is told of by the push, which asks again.
    request.client.has_manifest(&image).await.ok().flatten()
}

impl DockerfileImage {
    /// False when nothing had to be built.
    pub fn changed(&self) -> bool {
        !matches!(self.at, At::Registry(_))
    }

    pub(crate) async fn push(
        &self,
        request: &PushRequest<'_>,
        emit: &Emit,
        on_bytes: &OnBytes,
    ) -> Result<Arrived, PushError> {
        let (client, target) = (request.client, request.target);
        let pushed = match &self.at {
            At::Registry(digest) => Arrived { digest: *digest, sent: Some(0) },
            At::Store(stored) => stored.push(&self.name, request, emit).await?,
            At::Layout(layout, _) => {
                let mut sent = 0;
                for package in &layout.manifests {
                    sent += client.push(package, target, &[], on_bytes).await?.bytes_sent;
                }
                if let Some(index) = &layout.index {
                    client.put_index(index, target).await?;
                }
                let digest = layout.digest().ok_or_else(|| BuildError::Empty { image: self.name.clone() })?;
                Arrived { digest, sent: Some(sent) }
            }
        };
        let image: ImageRef = target.pinned(pushed.digest);
        for tag in request.tags.iter().cloned().chain([(request.keeping)(&pushed.digest)]) {
            client.tag(&image, &tag).await?;
        }
        inputs::remember(&self.cache_dir, &self.inputs, &target.to_string(), pushed.digest);
        Ok(pushed)
    }
}

/// What both tools are told of an image: its file, stage, arguments and where it is from.
fn describe(command: &mut Command, request: &BuildRequest<'_>, spec: &DockerBuild) {
    command.arg("--file").arg(&spec.dockerfile);
    if let Some(stage) = &spec.stage {
        command.args(["--target", stage]);
    }
    for (key, value) in &spec.args {
        command.arg("--build-arg").arg(format!("{key}={value}"));
    }
    for (name, value) in request.image.secrets.iter() {
        // Under a name that means nothing to the tool itself, and in no argument that others on this machine could read.
        let variable = format!("SKEP_BUILD_SECRET_{name}");
        command.arg("--secret").arg(format!("id={name},env={variable}")).env(variable, value);
    }
    if let Some(revision) = request.revision {
        command.arg("--annotation").arg(format!("org.opencontainers.image.revision={}", revision.commit));
        command.arg("--annotation").arg(format!("org.opencontainers.image.created={}", revision.time));
    }
    let platforms: Vec<String> = request.platforms.iter().map(ToString::to_string).collect();
    command.arg("--platform").arg(platforms.join(","));
}

/// Runs one of the tools; its output is the build's, redacted.
async fn run(image: &str, command: &mut Command, redactor: &Redactor, emit: &Emit) -> Result<(), BuildError> {
    let shown = shown(command);
    let ran = process::run(command, redactor, |line| {
        emit.emit(Event::BuildOutput { image: image.to_owned(), line });
    });
    match ran.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(process::Ended { how, tail })) => {
            let foreign = tail.iter().any(|line| line.to_lowercase().contains("exec format error"));
            Err(BuildError::Tool { image: image.to_owned(), command: shown, ended: how, tail, foreign })
        }
        Err(source) => Err(BuildError::NoTool { why: format!("`{shown}` can't be started: {source}") }),
    }
}

/// `buildah build`: the program and what it was to do, without the rest of its arguments.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = command.get_args().filter_map(|word| word.to_str());
    let verbs: Vec<&str> = words.take_while(|word| !word.starts_with('-')).take(2).collect();
    format!("{} {}", command.get_program().to_string_lossy(), verbs.join(" "))
}
