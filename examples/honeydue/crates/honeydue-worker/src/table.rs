//! What runs when. Patterns are cron's five fields, in UTC.

use honeydue_files::{
    Storage, erasure,
    reaper::{self, ReapError},
    reconcile::{self, ReconcileError},
};
use honeydue_service::metrics::Metrics;
use honeydue_store::{Store, StoreError, jobs::NOTHING};
use jiff::{Timestamp, ToSpan, civil::Weekday, tz::TimeZone};

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Its name in logs and on the admin page.
    pub(crate) name: &'static str,
    /// When it runs.
    pub(crate) pattern: &'static str,
    /// What it does.
    pub(crate) work: Work,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Deletes sessions that have run out, and old job runs.
    CleanUp,
    /// Reminds of what is due within [`REMIND_DAYS`].
    Remind,
    /// Sums up the week for each person.
    Digest,
    /// Removes uploads that nobody attached, and files that belong to nothing.
    Reap,
    /// Removes the objects of people who are gone.
    Erase,
    /// Compares the bucket with the tables.
    Reconcile,
}

/// What jobs work with.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) store: Store,
    /// The bucket; `None` when this honeyDue keeps no files.
    pub(crate) storage: Option<Storage>,
    pub(crate) metrics: Metrics,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Reap(#[from] ReapError),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    #[error(
        "{unknown} objects are in the bucket that no row knows, and {missing} files have lost theirs; the log names them"
    )]
    Differs { unknown: u64, missing: u64 },
}

/// How long before its date a task is reminded of.
const REMIND_DAYS: i32 = 3;

/// The jobs.
pub(crate) const JOBS: [Job; 6] = [
    Job { name: "session-clean-up", pattern: "30 * * * *", work: Work::CleanUp },
    Job { name: "due-reminders", pattern: "*/10 * * * *", work: Work::Remind },
    Job { name: "weekly-digest", pattern: "0 5 * * 1", work: Work::Digest },
    Job { name: "upload-reaper", pattern: "30 * * * *", work: Work::Reap },
    Job { name: "upload-erasure", pattern: "* * * * *", work: Work::Erase },
    Job { name: "upload-reconcile", pattern: "0 4 * * 0", work: Work::Reconcile },
];

impl Work {
    /// Returns whether a run fails without the bucket. Erasure doesn't: it notes each attempt with its order and retries every minute.
    pub(crate) fn needs_bucket(self) -> bool {
        matches!(self, Self::Reap | Self::Reconcile)
    }

    /// Does it, for the tick `tick`. Answers what was done, for the run's record.
    ///
    /// Each is safe to repeat: what was made once is not made again.
    ///
    /// # Errors
    /// The failure of the database or of the bucket.
    pub(crate) async fn run(self, tools: &Tools, tick: Timestamp) -> Result<String, WorkError> {
        let Tools { store, storage, metrics } = tools;
        let day = tick.to_zoned(TimeZone::UTC).date();
        match (self, storage.as_ref()) {
            (Self::CleanUp, _) => {
                let (sessions, runs) = store.clean_up().await?;
                Ok(format!("expired sessions deleted: {sessions}, old runs deleted: {runs}"))
            }
            (Self::Remind, _) => {
                let made = store.make_reminders(day.saturating_add(REMIND_DAYS.days())).await?;
                Ok(format!("reminders made: {made}"))
            }
            (Self::Digest, _) => {
                let monday = day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days());
                let made = store.make_digests(monday).await?;
                Ok(format!("digests made for the week of {monday}: {made}"))
            }
            (Self::Reap, Some(storage)) => reap(store, storage, metrics).await,
            (Self::Erase, Some(storage)) => {
                let erased = erasure::erase(store, storage).await?;
                if erased == erasure::Erased::default() {
                    return Ok(NOTHING.to_owned());
                }
                metrics.add(
                    "honeydue_erased_versions_total",
                    "Versions erased with their people.",
                    erased.versions,
                );
                Ok(format!(
                    "people forgotten: {}, still open: {}, versions deleted: {}",
                    erased.finished, erased.open, erased.versions
                ))
            }
            (Self::Reconcile, Some(storage)) => compare(store, storage).await,
            // Without a bucket there is none of it; orders to erase wait until there is one again.
            (Self::Reap | Self::Erase | Self::Reconcile, None) => Ok(NOTHING.to_owned()),
        }
    }
}

async fn reap(store: &Store, storage: &Storage, metrics: &Metrics) -> Result<String, WorkError> {
    let count = |done: honeydue_store::uploads::Reaped| {
        metrics.add("honeydue_uploads_reaped_total", "Uploads removed that nobody attached.", done.reaped);
        metrics.add(
            "honeydue_uploads_cleared_total",
            "Attached uploads whose leftovers were removed.",
            done.cleared,
        );
        metrics.add("honeydue_files_removed_total", "Files removed that belonged to nothing.", done.orphaned);
        metrics.add(
            "honeydue_objects_refused_total",
            "Objects that the store would not delete.",
            done.refused,
        );
        metrics.add("honeydue_versions_deleted_total", "Versions deleted from the bucket.", done.versions);
    };
    let all = reaper::reap(store, storage, count).await?;
    Ok(format!(
        "uploads reaped: {}, leftovers cleared: {}, files of nothing removed: {}, refused by the store: {}, versions deleted: {}",
        all.reaped, all.cleared, all.orphaned, all.refused, all.versions
    ))
}

async fn compare(store: &Store, storage: &Storage) -> Result<String, WorkError> {
    let found = reconcile::reconcile(store, storage, Timestamp::now()).await?;
    for key in &found.unknown {
        tracing::warn!(key, "no row knows this object");
    }
    for id in &found.missing {
        tracing::warn!(%id, "this file has lost its object");
    }
    if found.unknown_count + found.missing_count > 0 {
        return Err(WorkError::Differs { unknown: found.unknown_count, missing: found.missing_count });
    }
    Ok(format!("{} objects and {} files fit", found.objects, found.files))
}
