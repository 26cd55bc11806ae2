//! How a deploy ends badly: in which step, why, where things stand now, and what to do.

use skep_cluster::{ClusterError, FieldConflict, LockError, RecordError};
use skep_image::PushError;
use skep_manifest::ManifestError;
use skep_model::{ObjectKey, Step};
use skep_registry::RegistryError;
use skep_rollout::Diagnosis;
use thiserror::Error;

use crate::{Restoration, steps::verify::FailedCheck};

/// A deploy, or another use case, that did not succeed.
#[derive(Debug, Error)]
#[error("{problem}")]
pub struct Failure {
    /// The step that failed: it decides the exit code.
    pub step: Step,
    /// The release that was open, closed since as `failed` or `interrupted`.
    pub release: Option<u64>,
    /// What runs now, in one sentence.
    pub standing: Option<String>,
    /// Whether the release before was put back.
    pub restoration: Option<Restoration>,
    /// Whether what was found then is kept: `skep bundle` hands it out.
    pub bundle: bool,
    /// Why.
    pub problem: Box<Problem>,
}

/// Why a step failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A manifest can't be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file can't be read.
    #[error("{path}: {why}")]
    File {
        /// The file or folder.
        path: String,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The project asks for something that its parts don't have.
    #[error("{what}")]
    Project {
        /// What doesn't fit.
        what: String,
        /// What to do.
        hint: String,
    },
    /// An image can't be built.
    #[error(transparent)]
    Build(#[from] skep_image::BuildError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The cluster failed.
    #[error(transparent)]
    Cluster(ClusterError),
    /// The lock is held, or was lost.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A record can't be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The migration failed.
    #[error("the migration failed: {diagnosis}")]
    Migration {
        /// Why.
        diagnosis: Diagnosis,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// Services that will not become ready.
    #[error("{}", each(.0, "will not become ready"))]
    Rollout(Vec<FailedWorkload>),
    /// Services that did not stay as they were during the soak.
    #[error("{}", each(.0, "did not stay well"))]
    Unsteady(Vec<FailedWorkload>),
    /// Checks of `verify` that did not go well.
    #[error("{}", checks(.0))]
    Verify(Vec<FailedCheck>),
    /// Fields that others own, of every object that has some.
    #[error("{}", contested(.0))]
    Contested(Vec<(ObjectKey, Vec<FieldConflict>)>),
    /// A change that the API only takes of a new object.
    #[error("{object}: {} can't be changed in place: {error}", listed(.fields))]
    Immutable {
        /// Which.
        object: ObjectKey,
        /// `spec.serviceName`; none when only the API's answer tells.
        fields: Vec<String>,
        /// What the API answered.
        error: ClusterError,
    },
    /// A problem with an object, and where its manifest is.
    #[error("{place}: {problem}")]
    Manifested {
        /// `k8s/api.yaml:5`.
        place: String,
        /// What is wrong.
        problem: Box<Problem>,
    },
    /// A name in skep.yaml makes no image reference.
    #[error(transparent)]
    ImageName(#[from] skep_model::ImageRefError),
    /// The user stopped it.
    #[error("stopped by the user")]
    Interrupted,
}

/// A workload whose rollout failed, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedWorkload {
    /// `Deployment/api`.
    pub workload: String,
    /// Why.
    pub diagnosis: Diagnosis,
    /// The last lines of the log that shows it.
    pub log: Vec<String>,
}

/// A write that was not sent because the lock was lost is a lost lock.
impl From<ClusterError> for Problem {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Fenced(lost) => Self::Lock(*lost),
            other => Self::Cluster(other),
        }
    }
}

impl From<PushError> for Problem {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Registry(error) => Self::Registry(error),
            PushError::Tool(error) => Self::Build(error),
        }
    }
}

impl Failure {
    /// What the user can do next.
    pub fn hint(&self) -> Option<String> {
        match *self.problem {
            // No release was begun: there is none to go on with.
            Problem::Interrupted if self.release.is_none() => {
                Some("`skep status` shows where things stand".to_owned())
            }
            _ => self.problem.hint(),
        }
    }

    /// Another release was made after this one was planned.
    pub(crate) fn is_stale_plan(&self) -> bool {
        matches!(*self.problem, Problem::Record(RecordError::Taken(_)))
    }

    /// The cause of each workload that failed, in a word for programs.
    pub fn causes(&self) -> Vec<(&str, &'static str)> {
        match &*self.problem {
            Problem::Rollout(failed) | Problem::Unsteady(failed) => {
                failed.iter().map(|one| (one.workload.as_str(), one.diagnosis.cause.code())).collect()
            }
            Problem::Migration { diagnosis, .. } => vec![("the migration", diagnosis.cause.code())],
            _ => Vec::new(),
        }
    }

    /// Lines of evidence: a log's end.
    pub fn evidence(&self) -> Vec<(String, &[String])> {
        match &*self.problem {
            Problem::Migration { log, .. } => vec![("the migration's log".to_owned(), log)],
            Problem::Rollout(failed) | Problem::Unsteady(failed) => failed
                .iter()
                .map(|failed| (format!("the log of {}", failed.workload), failed.log.as_slice()))
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn at(step: Step, problem: impl Into<Problem>) -> Self {
        Self {
            step,
            release: None,
            standing: None,
            restoration: None,
            bundle: false,
            problem: Box::new(problem.into()),
        }
    }
}

impl Problem {
    fn hint(&self) -> Option<String> {
        match self {
            Problem::Contested(_) => Some("if the other manager is right, take the field out of the manifest; if the manifest is right, `skep rollback vN` to the release that runs takes back what it wrote, and then deploy".to_owned()),
            Problem::Manifested { problem, .. } => problem.hint(),
            Problem::Immutable { object, .. } if object.kind == "PersistentVolumeClaim" => Some(format!(
                "restore the old value: a claim can only grow; `--recreate {object}` replaces it and loses its data"
            )),
            Problem::Immutable { object, .. } => Some(format!(
                "add `--recreate {object}` to delete and recreate it, with nothing in its place meanwhile; or give it another name"
            )),
            Problem::File { hint, .. } | Problem::Project { hint, .. } => Some(hint.clone()),
            Problem::Registry(error) => error.hint(),
            Problem::Build(error) => error.hint(),
            Problem::Cluster(error) | Problem::Lock(LockError::Cluster(error)) | Problem::Record(RecordError::Cluster(error)) => {
                error.hint()
            }
            Problem::Lock(LockError::Held { .. }) => Some("`--wait` waits for it to end; a dead deploy's lock frees itself within 15 s; `skep unlock --reason …` stops a living one".to_owned()),
            Problem::Lock(LockError::Lost { .. }) => Some("nothing more was written; deploy again".to_owned()),
            Problem::Record(RecordError::Newer { .. }) => Some("use a newer Skep: another one has deployed this app".to_owned()),
            Problem::Record(RecordError::Unreadable { name, .. }) => Some(format!(
                "restore Secret/{name} from a backup; or `skep history` lists releases to name instead, as in `skep rollback v3`"
            )),
            Problem::Record(_) => Some("deploy again".to_owned()),
            Problem::Migration { .. } => {
                Some("no service was changed; fix the migration and deploy again: what was applied stays, only the rest is run".to_owned())
            }
            Problem::Rollout(failed) | Problem::Unsteady(failed) => {
                failed.first().map(|failed| failed.diagnosis.cause.hint())
            }
            Problem::Verify(failed) => failed.first().map(|failed| failed.hint.clone()),
            Problem::Interrupted => Some("`skep status` shows where things stand; `skep deploy` goes on, `skep rollback` goes back".to_owned()),
            Problem::ImageName(_) => Some("correct `registry.url` or the image's name in skep.yaml".to_owned()),
            Problem::Manifest(error) => error.hint(),
        }
    }
}

/// Names the step of an error on its way up.
pub(crate) trait InStep<T> {
    fn in_step(self, step: Step) -> Result<T, Failure>;
}

impl<T, E: Into<Problem>> InStep<T> for Result<T, E> {
    fn in_step(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure::at(step, error))
    }
}

fn listed(fields: &[String]) -> String {
    match fields {
        [] => "the change".to_owned(),
        fields => fields.join(", "),
    }
}

fn contested(objects: &[(ObjectKey, Vec<FieldConflict>)]) -> String {
    let field = |conflict: &FieldConflict| format!("{} (owned by {})", conflict.field, conflict.manager);
    let one = |(object, conflicts): &(ObjectKey, Vec<FieldConflict>)| {
        format!("{object}: {}", conflicts.iter().map(field).collect::<Vec<_>>().join(", "))
    };
    format!("fields that others have changed: {}", objects.iter().map(one).collect::<Vec<_>>().join("; "))
}

fn each(failed: &[FailedWorkload], what: &str) -> String {
    let one = |failed: &FailedWorkload| format!("{} {what}: {}", failed.workload, failed.diagnosis);
    failed.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn checks(failed: &[FailedCheck]) -> String {
    failed.iter().map(FailedCheck::to_string).collect::<Vec<_>>().join("\n")
}

/// The last cause of a chain: `connection refused` says more than what is around it.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
