//! What a deploy says while it runs. One stream; the live view, `--output json`, the record's timings and the tests are
//! its subscribers.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Digest, ObjectKey};

/// The steps of a deploy, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Read skep.yaml, env files, manifests.
    Load,
    /// What can be known offline.
    Check,
    /// Make the images.
    Build,
    /// Send them to the registry.
    Push,
    /// Desired against live.
    Plan,
    /// Take the Lease, open the record.
    Lock,
    /// Namespace, config, secrets, what the migration needs.
    Stage,
    /// The migration gate.
    Migrate,
    /// Everything else is written.
    Apply,
    /// Every workload is awaited.
    Roll,
    /// URLs answer.
    Verify,
    /// The record is closed.
    Record,
    /// What no kept release needs is removed.
    Prune,
}

/// Something that happened. Serialised with a `type` field; new kinds and fields may be added within one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A step began.
    StepStarted {
        /// Which.
        step: Step,
    },
    /// A step ended.
    StepFinished {
        /// Which.
        step: Step,
        /// How.
        outcome: Outcome,
        /// A few words for people: `2 images`, `unchanged`.
        summary: String,
        /// Milliseconds since it began.
        millis: u64,
    },
    /// An image's build or push moved on.
    Image {
        /// Its name in skep.yaml.
        image: String,
        /// `Build` or `Push`.
        step: Step,
        /// How far.
        progress: Progress,
    },
    /// A line that a build command printed.
    BuildOutput {
        /// The image it is for.
        image: String,
        /// Without its newline.
        line: String,
    },
    /// An image is in the registry.
    Pushed {
        /// Its name in skep.yaml.
        image: String,
        /// What the registry answered.
        digest: Digest,
        /// Bytes that were sent: 0 when the registry had it all; absent when the builder that sent them did not say.
        bytes: Option<u64>,
    },
    /// A line that the migration printed.
    MigrateOutput {
        /// Without its newline.
        line: String,
    },
    /// An object was written.
    Applied {
        /// Which.
        object: ObjectKey,
        /// False when the cluster had it as it is.
        changed: bool,
    },
    /// An object will be deleted once the release is deployed.
    WillRemove {
        /// Which.
        object: ObjectKey,
        /// `no longer in k8s/side.yaml`, `not part of v1`.
        because: String,
    },
    /// An object was deleted.
    Pruned {
        /// Which.
        object: ObjectKey,
    },
    /// Where a workload's rollout stands; sent when that changes.
    Workload {
        /// Which.
        object: ObjectKey,
        /// Its state.
        state: WorkloadState,
    },
    /// A URL was asked and has answered well, or has not yet.
    Verified {
        /// The URL, or the command.
        check: String,
        /// Whether it is good now.
        ok: bool,
        /// `200 in 12 ms`, `connection refused`.
        answer: String,
    },
    /// Something that the user should know and that stops nothing.
    Warning {
        /// One sentence.
        message: String,
    },
    /// A service will get new pods.
    WillRestart {
        /// The workload.
        object: ObjectKey,
        /// `image of api`, `config honeydue-config (GREETING)`.
        because: Vec<String>,
    },
    /// The release failed, and the last good one is put back; the steps that follow are that one's.
    Restoring {
        /// The release that failed.
        failed: u64,
        /// The one that comes again.
        to: u64,
        /// What failed, in a line.
        because: String,
    },
    /// The release is open under this number.
    ReleaseOpened {
        /// `v<number>`.
        number: u64,
    },
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Work was done.
    Done,
    /// There was nothing to do.
    Unchanged,
    /// It failed; the error follows as the command's result.
    Failed,
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "at", rename_all_fields = "camelCase")]
pub enum Progress {
    /// It began.
    Started,
    /// Some bytes of all that must be sent.
    Bytes {
        /// Sent so far.
        sent: u64,
        /// To send in all.
        total: u64,
    },
    /// It ended well.
    Finished {
        /// Milliseconds since it began.
        millis: u64,
        /// False when what was there already served.
        changed: bool,
    },
}

/// Where a workload stands in its rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is", rename_all_fields = "camelCase")]
pub enum WorkloadState {
    /// Moving, or waiting.
    Progressing {
        /// New pods that are ready.
        ready: u32,
        /// Pods wanted.
        wanted: u32,
        /// Pods of an older template that are still there.
        #[serde(default)]
        old: u32,
        /// When it has failed if nothing moves until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
        /// `1 old pod left`, `api-7d9: readiness 503`.
        waiting_for: String,
        /// What goes wrong and will end it if it goes on: `api-7d9: ended 2 of 3 times, exit code 1`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failing: Option<String>,
    },
    /// All pods are new, ready, and the old ones are gone.
    Ready {
        /// Pods wanted, and there.
        wanted: u32,
        /// Milliseconds since the step began.
        millis: u64,
    },
    /// It will not become ready.
    Failed {
        /// The cause in one line.
        cause: String,
    },
}

/// Where events go. Cheap to clone; calling it never blocks and never fails.
#[derive(Clone)]
pub struct Emit(Arc<dyn Fn(Event) + Send + Sync>);

impl Emit {
    /// Sends every event to `subscriber`.
    pub fn new(subscriber: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(subscriber))
    }

    /// For callers that have no one to tell.
    pub fn nowhere() -> Self {
        Self::new(|_| ())
    }

    /// Says that something happened.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emit")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Load => "load",
            Self::Check => "check",
            Self::Build => "build",
            Self::Push => "push",
            Self::Plan => "plan",
            Self::Lock => "lock",
            Self::Stage => "stage",
            Self::Migrate => "migrate",
            Self::Apply => "apply",
            Self::Roll => "roll",
            Self::Verify => "verify",
            Self::Record => "record",
            Self::Prune => "prune",
        })
    }
}
