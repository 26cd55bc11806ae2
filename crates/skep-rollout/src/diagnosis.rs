//! Why a rollout failed, as data. Text is made here once, so that the live view, the record and JSON say the same.

use std::fmt;

/// A failure of a workload, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The pod that shows it, if one does.
    pub pod: Option<String>,
    /// The container of that pod.
    pub container: Option<String>,
    /// What is wrong.
    pub cause: Cause,
    /// Which log would show more.
    pub log: Option<LogWanted>,
}

/// Whose log is evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogWanted {
    /// The container that runs now.
    Current,
    /// The one before it, which crashed.
    Previous,
}

/// What keeps a workload from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The registry says that the image does not exist.
    ImageMissing {
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
    },
    /// The registry refused the cluster's credentials.
    ImageDenied {
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
    },
    /// The registry could not be reached, several times.
    RegistryUnreachable {
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
        /// Tries seen.
        tries: u32,
    },
    /// A ConfigMap, Secret or key that the container needs is missing.
    ConfigMissing {
        /// The kubelet's message.
        message: String,
    },
    /// The program is for another processor, or is not a program.
    ExecFormat {
        /// As the pod names it.
        image: String,
    },
    /// The container could not be started at all.
    CannotStart {
        /// The runtime's message.
        message: String,
    },
    /// The app refused to boot on an old schema.
    SchemaRefused {
        /// What the app exited with.
        exit_code: i64,
    },
    /// The container ended again and again.
    CrashLoop {
        /// Times it ended.
        crashes: u32,
        /// What it exited with last.
        exit_code: i64,
        /// The kubelet's word for it: `Error`, `OOMKilled`, `Completed`.
        reason: String,
    },
    /// Nothing has moved for as long as the policy allows.
    NoProgress {
        /// Seconds since the last progress.
        seconds: i64,
        /// What it was waiting for.
        waiting_for: String,
    },
    /// A Job failed.
    JobFailed {
        /// `BackoffLimitExceeded`, `DeadlineExceeded`, …
        reason: String,
        /// The controller's message.
        message: String,
    },
    /// The object went away while it was awaited.
    Deleted,
}

impl Cause {
    /// What to do about it: a sentence, for people.
    pub fn hint(&self) -> String {
        match self {
            Self::ImageMissing { .. } => {
                "the registry no longer has it, or never had: deploy without `--skip-build` to push it again".to_owned()
            }
            Self::ImageDenied { .. } => {
                "the cluster's pull secret is missing, expired or for another registry: check `registry` in skep.yaml".to_owned()
            }
            Self::RegistryUnreachable { .. } => "check that the nodes reach the registry, then deploy again".to_owned(),
            Self::ConfigMissing { .. } => "add the key to `config` or `secrets` in skep.yaml, or mark the reference optional".to_owned(),
            Self::ExecFormat { .. } => "build for the platform of the nodes: `platforms` in skep.yaml".to_owned(),
            Self::CannotStart { .. } => "check `command` in the manifest and the image's entrypoint".to_owned(),
            Self::SchemaRefused { .. } => {
                "the app needs a newer schema: add `migrate` to skep.yaml, or apply the missing migration".to_owned()
            }
            Self::CrashLoop { reason, .. } if reason == "OOMKilled" => {
                "it used more memory than its limit: raise `resources.limits.memory` or find the leak".to_owned()
            }
            Self::CrashLoop { .. } => "read its last lines above; `skep logs SERVICE` shows the rest".to_owned(),
            Self::NoProgress { .. } => "look at `skep status`; `rollout.no-progress` in skep.yaml sets this patience".to_owned(),
            Self::JobFailed { .. } => "read its log above; a job of the same name is made again at the next deploy".to_owned(),
            Self::Deleted => "somebody else changed the namespace: deploy again".to_owned(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageMissing { image, message } => {
                write!(f, "image {image} is not in the registry: {message}")
            }
            Self::ImageDenied { image, message } => {
                write!(f, "the registry refused to hand out {image}: {message}")
            }
            Self::RegistryUnreachable { image, message, tries } => {
                write!(f, "the registry of {image} could not be reached in {tries} tries: {message}")
            }
            Self::ConfigMissing { message } => write!(f, "its configuration is incomplete: {message}"),
            Self::ExecFormat { image } => {
                write!(f, "{image} holds a program for another kind of machine (exec format error)")
            }
            Self::CannotStart { message } => write!(f, "the container can't be started: {message}"),
            Self::SchemaRefused { exit_code } => {
                write!(
                    f,
                    "it refused to boot because the database schema is not what it was built for (exit code {exit_code})"
                )
            }
            Self::CrashLoop { crashes, exit_code, reason } => {
                write!(f, "it ended {crashes} times; the last time with exit code {exit_code} ({reason})")
            }
            Self::NoProgress { seconds, waiting_for } => {
                write!(f, "no progress for {seconds} s while waiting for {waiting_for}")
            }
            Self::JobFailed { reason, message } => write!(f, "the job failed ({reason}): {message}"),
            Self::Deleted => f.write_str("the object was deleted while it was awaited"),
        }
    }
}

/// `api-7d9f-x2x/api: it ended 3 times; …`
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.pod, &self.container) {
            (Some(pod), Some(container)) => write!(f, "{pod}/{container}: ")?,
            (Some(pod), None) => write!(f, "{pod}: ")?,
            _ => {}
        }
        self.cause.fmt(f)
    }
}
