//! How a build can fail, in the words of who wrote skep.yaml.

use std::{io, path::PathBuf, sync::Arc};

use skep_model::{ImageRefError, Platform};
use skep_registry::RegistryError;
use thiserror::Error;

use crate::dockerfile::InvalidPattern;

/// A build that failed. The text names image and key; [`BuildError::hint`] says what to do.
#[derive(Debug, Error)]
pub enum BuildError {
    /// Nothing on this machine builds Dockerfiles.
    #[error("nothing here builds Dockerfiles: {why}")]
    NoTool {
        /// What was tried.
        why: String,
    },
    /// The builder failed. Its last lines tell why.
    #[error("image `{image}`: `{command}` {ended}{}", tail_text(tail))]
    Tool {
        /// The image.
        image: String,
        /// `buildah build`.
        command: String,
        /// `ended with exit code 2`.
        ended: String,
        /// Its last lines.
        tail: Vec<String>,
        /// Whether it had to run a program of another platform and could not.
        foreign: bool,
    },
    /// The builder can't build for a platform.
    #[error("image `{image}`: the builder `{builder}` can't build for {platform}: it can for {}", platforms.join(", "))]
    NoEmulation {
        /// The image.
        image: String,
        /// What is wanted.
        platform: Box<Platform>,
        /// The buildx builder.
        builder: String,
        /// What it can.
        platforms: Vec<String>,
    },
    /// buildah gave several platforms one image.
    #[error("image `{image}`: {built} images were built for {wanted} platforms")]
    Platforms {
        /// The image.
        image: String,
        /// How many platforms there are.
        wanted: usize,
        /// How many images came of them.
        built: usize,
    },
    /// What a builder wrote is not what it should be.
    #[error("{}: {why}", path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A builder made nothing.
    #[error("image `{image}`: the builder made no image")]
    Empty {
        /// The image.
        image: String,
    },
    /// Native images are of one platform.
    #[error(
        "image `{image}`: `platforms` names {first} and {second}, and a native image is built for one platform at a time"
    )]
    SeveralPlatforms {
        /// The image.
        image: String,
        /// One.
        first: Box<Platform>,
        /// Another.
        second: Box<Platform>,
    },
    /// The build command failed. Images that share the command share the failure.
    #[error("image `{image}`: {failure}")]
    Run {
        /// The image.
        image: String,
        /// What happened.
        failure: Arc<RunFailure>,
    },
    /// What should be laid isn't there.
    #[error("image `{image}`: `{key}` lays {}, which does not exist", from.display())]
    Missing {
        /// The image.
        image: String,
        /// The key in skep.yaml.
        key: String,
        /// What was expected.
        from: PathBuf,
        /// The build command, if there is one.
        run: Option<String>,
    },
    /// A key of skep.yaml that makes no path in an image.
    #[error("image `{image}`: `{key}` {why}")]
    BadPath {
        /// The image.
        image: String,
        /// The key in skep.yaml.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two things want the same place.
    #[error("image `{image}`: {} is laid both as {one} and as {other}", path.display())]
    Conflict {
        /// The image.
        image: String,
        /// The path in the image.
        path: PathBuf,
        /// What is there.
        one: &'static str,
        /// What should be there too.
        other: &'static str,
    },
    /// A program for another machine.
    #[error("image `{image}`: {} is {found}, expected a program for {expected}", path.display())]
    WrongPlatform {
        /// The image.
        image: String,
        /// The file on this machine.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What the image is built for.
        expected: Box<Platform>,
    },
    /// A socket, pipe or device.
    #[error("image `{image}`: {} is a {kind}, which no image can hold", path.display())]
    Special {
        /// The image.
        image: String,
        /// The file on this machine.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A shared library that a program needs is nowhere.
    #[error("image `{image}`: {} needs the shared library `{library}`, which was not found in {}", needed_by.display(), searched.join(":"))]
    LibraryMissing {
        /// The image.
        image: String,
        /// Its name, as the program says it.
        library: String,
        /// The program, on this machine.
        needed_by: PathBuf,
        /// Where it was looked for.
        searched: Vec<String>,
    },
    /// An ignore file has a pattern with which Docker refuses to build.
    #[error("{}:{}: {source}", path.display(), source.line)]
    Ignore {
        /// The ignore file.
        path: PathBuf,
        /// The pattern and what is wrong with it.
        source: InvalidPattern,
    },
    /// The image's program isn't in it.
    #[error("image `{image}`: its entrypoint `{program}` is not in it")]
    NoEntrypoint {
        /// The image.
        image: String,
        /// The path in the image.
        program: String,
    },
    /// The image's program is a script whose interpreter isn't in it.
    #[error("image `{image}`: its entrypoint `{program}` is run by `{interpreter}`, which is not in it")]
    NoInterpreter {
        /// The image.
        image: String,
        /// The script, in the image.
        program: String,
        /// What its first line names.
        interpreter: String,
    },
    /// The image's user isn't in its `/etc/passwd`.
    #[error("image `{image}`: user `{user}` is not in its /etc/passwd")]
    UnknownUser {
        /// The image.
        image: String,
        /// The user.
        user: String,
    },
    /// `base` is no image reference.
    #[error("image `{image}`: `base` is wrong")]
    BaseName {
        /// The image.
        image: String,
        /// Why.
        #[source]
        source: Box<ImageRefError>,
    },
    /// The base could not be pulled.
    #[error("image `{image}`: its base could not be pulled")]
    Base {
        /// The image.
        image: String,
        /// Why.
        #[source]
        source: Box<RegistryError>,
    },
    /// A file changed under the build.
    #[error("{} changed while it was being read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Config or manifest could not be written as JSON.
    #[error("image `{image}`: its config makes no JSON")]
    Document {
        /// The image.
        image: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A thread of the build ended early.
    #[error("the build was stopped")]
    Stopped {
        /// Why.
        #[source]
        source: Arc<tokio::task::JoinError>,
    },
}

/// An image that did not reach the registry.
#[derive(Debug, Error)]
pub enum PushError {
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The builder that pushes its images itself failed.
    #[error(transparent)]
    Tool(#[from] BuildError),
}

/// A build command that failed.
#[derive(Debug, Error)]
pub enum RunFailure {
    /// It ran, and ended badly.
    #[error("`{command}` {ended}{}", tail_text(tail))]
    Ended {
        /// The command.
        command: String,
        /// `ended with exit code 2`, `was killed by signal 9`.
        ended: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It could not be started.
    #[error("cannot run `{command}` in {}", context.display())]
    Start {
        /// The command.
        command: String,
        /// Where.
        context: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl BuildError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoTool { .. } => {
                "install Docker with buildx, or buildah; or give the image a `native:` block, which needs neither; or `--skip-build` with images that exist".to_owned()
            }
            Self::Tool { foreign: true, .. } | Self::NoEmulation { .. } => {
                "programs of another platform need an emulator here: install qemu-user-static, or `docker run --privileged --rm tonistiigi/binfmt --install all`".to_owned()
            }
            Self::Platforms { .. } => {
                "does a program that is copied in differ for each platform (`ARG TARGETARCH`)? if all are the same, name one platform".to_owned()
            }
            Self::Tool { command, .. } => format!("`{command}` in the image's context, by hand, shows all it says"),
            Self::SeveralPlatforms { .. } => "keep the platform of the target's nodes".to_owned(),
            Self::Run { failure, .. } => match &**failure {
                RunFailure::Ended { .. } => {
                    "run the command by hand in the image's context to see all it says".to_owned()
                }
                RunFailure::Start { context, .. } => format!("does {} exist?", context.display()),
            },
            Self::Missing { run: Some(run), .. } => {
                format!("was `{run}` meant to make it? it ended well, and did not")
            }
            Self::Missing { key, .. } => {
                format!("correct `{key}`, or give the image a `run` command that makes it")
            }
            Self::WrongPlatform { expected, .. } => {
                format!("build it for {expected}, or change `platforms` in skep.yaml")
            }
            Self::Special { .. } => "lay the folder's other entries one by one, or remove it".to_owned(),
            Self::LibraryMissing { library, .. } => {
                format!("install the package that has `{library}`, or link it statically")
            }
            Self::Ignore { .. } => {
                "correct the pattern: Docker and buildah fail with it; its syntax is that of Go's filepath.Match, with `**` for any number of folders".to_owned()
            }
            Self::NoEntrypoint { program, .. } => format!("add `{program}` to the image's `files`"),
            Self::NoInterpreter { interpreter, .. } => {
                format!(
                    "add `{interpreter}` to the image's `libraries` or `files`, or lay it over a base that has it"
                )
            }
            Self::UnknownUser { .. } => {
                "give it as `uid:gid`, or lay an /etc/passwd that knows it".to_owned()
            }
            Self::Changed { .. } => "is another build running in this folder? try again".to_owned(),
            Self::Base { source, .. } => return source.hint(),
            Self::BadPath { .. }
            | Self::Conflict { .. }
            | Self::BaseName { .. }
            | Self::File { .. }
            | Self::Document { .. }
            | Self::Layout { .. }
            | Self::Empty { .. }
            | Self::Stopped { .. } => return None,
        })
    }
}

fn tail_text(tail: &[String]) -> String {
    if tail.is_empty() {
        return " and said nothing".to_owned();
    }
    format!("; its last lines:\n  {}", tail.join("\n  "))
}
