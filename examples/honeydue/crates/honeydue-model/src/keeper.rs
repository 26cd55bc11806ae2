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
    /// Files on their way, kept and gone.
    pub uploads: Uploads,
    /// The version of the database's schema.
    pub schema: i64,
}

/// Files on their way, kept and gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Uploads {
    /// Those that nobody keeps yet, by state.
    pub waiting: Vec<UploadCounts>,
    /// Those that are kept.
    pub kept: UploadCounts,
    /// How many the reaper has removed, ever.
    pub reaped: i64,
    /// How often the store would not delete one, ever.
    pub refused: i64,
    /// Whether the reaper has not run for a day.
    pub is_overdue: bool,
    /// Its latest runs, newest first.
    pub runs: Vec<ReaperReport>,
    /// People to be forgotten: the open orders first.
    pub erasures: Vec<ErasureReport>,
}

/// How many files are in a state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UploadCounts {
    /// `pending`, `attaching`, `reaping` or `attached`.
    pub state: String,
    /// How many.
    pub count: i64,
    /// Their size together.
    pub bytes: i64,
    /// The age of the oldest, in seconds.
    pub oldest_seconds: i64,
}

/// One run of the reaper.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReaperReport {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Whether it came to its end.
    pub is_finished: bool,
    /// How long it took, or has taken so far.
    pub millis: i64,
    /// Uploads that nobody attached.
    pub reaped: i64,
    /// Leftovers of those that were attached.
    pub cleared: i64,
    /// Files that belonged to nothing any more.
    pub orphaned: i64,
    /// Objects that the store would not delete.
    pub refused: i64,
    /// Versions deleted from the bucket.
    pub versions: i64,
}

/// One person to be forgotten by the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// The number that the account had; nothing else is left of it.
    pub user: i64,
    /// RFC 3339, UTC.
    pub requested_at: String,
    /// When the bucket was found empty of them, after everything that was signed for them had died.
    pub finished_at: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// Versions deleted.
    pub versions: i64,
    /// What went wrong last.
    pub last_error: String,
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
