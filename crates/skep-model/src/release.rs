//! A release: numbered, immutable, and whole: everything needed to run it again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{Check, Digest, ObjectKey, Step};

/// The record of one release, as kept in the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The record's format; a Skep that does not know it refuses to touch the app.
    pub format: u32,
    /// The app.
    pub app: String,
    /// `v<number>`.
    pub number: u64,
    /// Where it stands. Change it with [`Release::close`].
    pub status: ReleaseStatus,
    /// Why it was made.
    pub reason: ReasonForRelease,
    /// When the record was opened.
    pub created: Timestamp,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
    /// `user@host` of who ran Skep.
    pub by: String,
    /// Commit of the project folder, with `-dirty` when files differed from it; absent outside git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Our images: name in skep.yaml → commit of its build context, with `-dirty` as above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commits: BTreeMap<String, String>,
    /// Our images: name in skep.yaml → digest that runs.
    pub images: BTreeMap<String, Digest>,
    /// Images of others: text in the manifests → digest it was pinned to.
    pub third_party: BTreeMap<String, Digest>,
    /// Every object as applied, in order; a Secret appears by its key in `inventory` only.
    pub objects: Vec<Value>,
    /// Secrets by their plain names → the versions that hold what they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Everything this release wrote, Secrets included.
    pub inventory: Vec<ObjectKey>,
    /// Where each object of `inventory` is written, by `Kind/name`: `k8s/api.yaml`, or `skep.yaml`. An object that Skep makes
    /// itself has no entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    /// What was deleted from the cluster after this release was deployed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<ObjectKey>,
    /// What proved that it works; `None` in the records of a Skep that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Vec<Check>>,
    /// How long each step took.
    #[serde(default)]
    pub timings: Vec<StepTiming>,
    /// The pods that came, got ready and went while it was rolled out; of a large release not all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodSpan>,
    /// What went wrong, for a release that did not become good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Where a release stands. Only `pending` may change, and `failed` to `restored`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseStatus {
    /// Opened; not known to be good.
    Pending,
    /// Rolled out and verified.
    Deployed,
    /// Failed; what it changed may still be there.
    Failed,
    /// Failed, and an earlier release was put back.
    Restored,
    /// The user stopped Skep, or Skep died, before the outcome was known.
    Interrupted,
}

/// Why a release was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum ReasonForRelease {
    /// `skep deploy`.
    Deploy,
    /// What ran before Skep came, as the first deploy found it: release 0.
    Adopted,
    /// `skep rollback`: the contents of an earlier release.
    Rollback {
        /// The earlier release's number.
        to: u64,
        /// The services that went back; all when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        services: Vec<String>,
    },
    /// A release failed, and the last good one came again.
    Restore {
        /// The good release's number.
        to: u64,
        /// The failed release's.
        after: u64,
    },
    /// `skep rollback --tag`: the images of a commit that no kept release has.
    Images {
        /// Their tag.
        tag: String,
    },
}

impl std::fmt::Display for ReasonForRelease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deploy => f.write_str("deploy"),
            Self::Adopted => f.write_str("what ran before"),
            Self::Rollback { to, services } if services.is_empty() => write!(f, "back to v{to}"),
            Self::Rollback { to, services } => write!(f, "{} back to v{to}", services.join(", ")),
            Self::Restore { to, after } => write!(f, "back to v{to}, since v{after} failed"),
            Self::Images { tag } => write!(f, "back to images {tag}"),
        }
    }
}

/// The time that one step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTiming {
    /// The step.
    pub step: Step,
    /// When it began; `None` in the records of a Skep that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// Milliseconds.
    pub millis: u64,
}

/// A pod's part in a rollout, by the clock of whoever watched it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodSpan {
    /// Its workload, `Deployment/api`.
    pub of: String,
    /// Its name.
    pub pod: String,
    /// When it came; `None` if it was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came: Option<Timestamp>,
    /// When it was ready first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Timestamp>,
    /// When it began to end, or was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// A release that is already closed can't be closed again.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("release v{number} is {from} and can't become {to}")]
pub struct IllegalTransition {
    /// The release.
    pub number: u64,
    /// Where it stands.
    pub from: ReleaseStatus,
    /// Where it was to go.
    pub to: ReleaseStatus,
}

impl Release {
    /// The format that this Skep writes.
    pub const FORMAT: u32 = 1;

    /// Closes a pending release with its outcome.
    ///
    /// # Errors
    /// When the release is not pending, or `status` is `Pending`.
    pub fn close(
        &mut self,
        status: ReleaseStatus,
        at: Timestamp,
        failure: Option<String>,
    ) -> Result<(), IllegalTransition> {
        if self.status != ReleaseStatus::Pending || status == ReleaseStatus::Pending {
            return Err(IllegalTransition { number: self.number, from: self.status, to: status });
        }
        self.status = status;
        self.closed = Some(at);
        self.failure = failure;
        Ok(())
    }

    /// What a failed release did was taken back.
    ///
    /// # Errors
    /// When the release is not failed.
    pub fn put_back(&mut self) -> Result<(), IllegalTransition> {
        let to = ReleaseStatus::Restored;
        if self.status != ReleaseStatus::Failed {
            return Err(IllegalTransition { number: self.number, from: self.status, to });
        }
        self.status = to;
        Ok(())
    }
}

impl std::fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::Restored => "restored",
            Self::Interrupted => "interrupted",
        })
    }
}
