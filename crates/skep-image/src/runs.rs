//! What the builds of one deploy share. Images that name the same command in the same context share one run of it; images of the same
//! Dockerfile are built one after the other.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use skep_model::{BuildSecrets, Emit, Event};
use tokio::{
    process::Command,
    sync::{Mutex as Turn, OnceCell},
};

use crate::{BuildError, RunFailure, dockerfile::Tools, process};

type Outcome = Result<(), Arc<RunFailure>>;
/// Where, what, and with which secrets.
type Run = (PathBuf, String, BuildSecrets);
/// The context, and the file.
type Dockerfile = (PathBuf, PathBuf);

/// The build commands of one deploy, each run once; and the builder of its Dockerfiles.
#[derive(Debug, Default)]
pub struct Runs {
    commands: Mutex<HashMap<Run, Arc<OnceCell<Outcome>>>>,
    turns: Mutex<HashMap<Dockerfile, Arc<Turn<()>>>>,
    pub(crate) tools: Tools,
}

impl Runs {
    /// None has run.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever builds an image of this Dockerfile in this context holds it.
    pub(crate) fn turn(&self, context: &Path, dockerfile: &Path) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry((context.to_owned(), dockerfile.to_owned())).or_default().clone()
    }

    /// Runs `sh -c command` in `context` with the secrets in its environment, or waits for the run of it that is under way, or takes its
    /// outcome.
    pub(crate) async fn run(
        &self,
        image: &str,
        context: &Path,
        command: &str,
        secrets: &BuildSecrets,
        emit: &Emit,
    ) -> Result<(), BuildError> {
        let cell = {
            let mut runs = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
            runs.entry((context.to_owned(), command.to_owned(), secrets.clone())).or_default().clone()
        };
        cell.get_or_init(|| run(image, context, command, secrets, emit))
            .await
            .clone()
            .map_err(|failure| BuildError::Run { image: image.to_owned(), failure })
    }
}

async fn run(image: &str, context: &Path, command: &str, secrets: &BuildSecrets, emit: &Emit) -> Outcome {
    let mut shell = Command::from(skep_process::build("sh"));
    shell.args(["-c", command]).current_dir(context).envs(secrets.iter());
    let on_line = |line| emit.emit(Event::BuildOutput { image: image.to_owned(), line });
    match process::run(&mut shell, &secrets.redactor(), on_line).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(process::Ended { how, tail })) => {
            Err(Arc::new(RunFailure::Ended { command: command.to_owned(), ended: how, tail }))
        }
        Err(source) => {
            let (command, context) = (command.to_owned(), context.to_owned());
            Err(Arc::new(RunFailure::Start { command, context, source }))
        }
    }
}
