//! Which builder this machine has. Asked once a deploy.

use skep_model::{Builder, Emit};
use tokio::{process::Command, sync::OnceCell};

use super::docker;
use crate::BuildError;

/// A program that builds Dockerfiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Docker,
    Buildah,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    tool: OnceCell<Tool>,
    builder: OnceCell<docker::Builder>,
}

impl Tools {
    /// The one that skep.yaml names; else Docker where its engine answers and it has buildx; else buildah.
    pub(super) async fn find(&self, wanted: Option<Builder>) -> Result<Tool, BuildError> {
        let tool = self.tool.get_or_try_init(|| async {
            match wanted {
                Some(Builder::Docker) => docker_works().await.map(|()| Tool::Docker),
                Some(Builder::Buildah) => answers("buildah", &["--version"]).await.map(|()| Tool::Buildah),
                None => {
                    let Err(docker) = docker_works().await else { return Ok(Tool::Docker) };
                    let Err(buildah) = answers("buildah", &["--version"]).await else {
                        return Ok(Tool::Buildah);
                    };
                    Err(format!("{docker}; {buildah}"))
                }
            }
        });
        tool.await.copied().map_err(|why| BuildError::NoTool { why })
    }

    /// The buildx builder, up.
    pub(super) async fn docker_builder(
        &self,
        image: &str,
        emit: &Emit,
    ) -> Result<docker::Builder, BuildError> {
        self.builder.get_or_try_init(|| docker::builder(image, emit)).await.cloned()
    }
}

/// Docker's client alone can't build: it takes the engine and buildx.
async fn docker_works() -> Result<(), String> {
    answers("docker", &["buildx", "version"]).await?;
    answers("docker", &["version", "--format", "{{.Server.Version}}"]).await
}

async fn answers(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::from(skep_process::build(program)).args(arguments).output().await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Err(format!("`{program} {}` fails: {}", arguments.join(" "), line.trim()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("`{program}` is not installed"))
        }
        Err(error) => Err(format!("`{program}`: {error}")),
    }
}
