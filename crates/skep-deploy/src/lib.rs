//! The runbook: the order in which a release is made.
//!
//! [`deploy`] reads as the story that DESIGN tells: load, check, build, push, plan, lock, stage, migrate, apply, roll,
//! verify, record, prune. Each step is a file in `steps/`: it takes a value, returns a value, and emits events.
//! [`rollback`] tells the same story from a recorded release.

mod adopt;
mod bounds;
mod bundle;
mod cause;
mod checks;
mod context;
mod deploy;
mod describe;
mod desired;
mod diagnose;
mod error;
mod events;
mod finish;
mod history;
mod keys;
mod logs;
mod notify;
mod operate;
mod owned;
mod plan;
mod pull_secrets;
mod report;
mod restore;
mod rollback;
mod rotate;
mod session;
mod status;
mod steps;
mod traffic;
mod unlock;
mod values;

pub use self::plan::{Change, Drift, Drifted, Plan, Removal, RemovalReason, Restart, SavedPlan, Verb};
pub use adopt::Adoption;
pub use bundle::{Bundle, bundle, recording, recording_of};
pub use checks::{AskingCheck, ExtraCheck, Finding, Severity, check, check_without_cluster};
pub use context::{App, Author, Commit};
pub use deploy::{DeployRequest, Done, Images, Running, deploy, deploy_saved, plan, running};
pub use describe::{ContainerDescription, Description, PodDescription, describe};
pub use diagnose::{Diagnosed, Looked, diagnose};
pub use error::{FailedWorkload, Failure, Problem};
pub use events::{ClusterEvent, EventsRequest, events};
pub use history::{HistoryEntry, history, show};
pub use logs::{LogLine, LogsRequest, logs};
pub use operate::{Operation, RunRequest, operate, run};
pub use report::{Report, report};
pub use restore::{OneWay, Restoration};
pub use rollback::{RollbackRequest, RollbackTo, rollback};
pub use rotate::rotate;
pub use skep_manifest::Difference;
pub use skep_rollout::recording::Recording;
pub use status::{PodStatus, ServiceStatus, Status, status, watch_status};
pub use steps::verify::FailedCheck;
pub use unlock::unlock;
