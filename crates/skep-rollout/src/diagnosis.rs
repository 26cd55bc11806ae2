//! Why a rollout failed, as data. Text is made once, so that the live view, the record and JSON say the same.

use std::fmt;

use crate::Cause;

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

impl Diagnosis {
    /// Of the workload itself: no pod shows it.
    pub(crate) fn of_workload(cause: Cause) -> Self {
        Self { pod: None, container: None, cause, log: None }
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
