//! What runs when. Patterns are cron's five fields, in UTC.

use honeydue_store::{Store, StoreError};
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
}

/// How long before its date a task is reminded of.
const REMIND_DAYS: i32 = 3;

/// The jobs.
pub(crate) const JOBS: [Job; 3] = [
    Job { name: "session-clean-up", pattern: "30 * * * *", work: Work::CleanUp },
    Job { name: "due-reminders", pattern: "*/10 * * * *", work: Work::Remind },
    Job { name: "weekly-digest", pattern: "0 5 * * 1", work: Work::Digest },
];

impl Work {
    /// Does it, for the tick `tick`. Answers what was done, for the run's record.
    ///
    /// Each is safe to repeat: what was made once is not made again.
    ///
    /// # Errors
    /// The database's failure.
    pub(crate) async fn run(self, store: &Store, tick: Timestamp) -> Result<String, StoreError> {
        let day = tick.to_zoned(TimeZone::UTC).date();
        match self {
            Self::CleanUp => {
                let (sessions, runs) = store.clean_up().await?;
                Ok(format!("expired sessions deleted: {sessions}, old runs deleted: {runs}"))
            }
            Self::Remind => {
                let made = store.make_reminders(day.saturating_add(REMIND_DAYS.days())).await?;
                Ok(format!("reminders made: {made}"))
            }
            Self::Digest => {
                let monday = day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days());
                let made = store.make_digests(monday).await?;
                Ok(format!("digests made for the week of {monday}: {made}"))
            }
        }
    }
}
