//! What the person who keeps honeyDue running sees. Counts and job runs only: nothing that a user wrote.

use serde::{Deserialize, Serialize};

/// The whole of the admin page's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// How much there is.
    pub counts: Counts,
    /// One per job that ever ran, by name.
    pub jobs: Vec<JobReport>,
    /// The latest runs, newest first.
    pub runs: Vec<RunReport>,
    /// The version of the database's schema.
    pub schema: i64,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Accounts.
    pub users: i64,
    /// Sessions that have not run out.
    pub sessions: i64,
    /// Residences.
    pub residences: i64,
    /// Tasks not done yet.
    pub open_tasks: i64,
    /// Those of them whose due date has passed.
    pub overdue_tasks: i64,
    /// Times that a task was done, ever.
    pub completions: i64,
}

/// How a job has fared lately (30 days, the time that runs are kept).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// The job's name in the worker's table.
    pub job: String,
    /// Runs that ended well.
    pub done: i64,
    /// Runs that ended with an error, or whose worker vanished.
    pub failed: i64,
    /// When the latest one began: RFC 3339, UTC.
    pub last_started_at: String,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The job's name.
    pub job: String,
    /// The tick it ran for: RFC 3339, UTC.
    pub scheduled_for: String,
    /// `running`, `done`, `failed` or `lost`.
    pub state: String,
    /// Which worker ran it.
    pub worker: String,
    /// How long it took; absent while it runs.
    pub millis: Option<i64>,
    /// What it did, or why it failed.
    pub note: String,
}
