//! Reading the clock through cron patterns. Pure: "now" is an argument.

use croner::Cron;
use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::table::Job;

/// A job with its pattern read.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) job: Job,
    cron: Cron,
}

/// A pattern that cron would not understand.
#[derive(Debug, thiserror::Error)]
#[error("job {job}: {pattern:?} is not a cron pattern: {reason}")]
pub(crate) struct PatternError {
    job: &'static str,
    pattern: &'static str,
    reason: String,
}

impl Schedule {
    /// Reads a job's pattern.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn new(job: Job) -> Result<Self, PatternError> {
        let cron = job.pattern.parse().map_err(|error: croner::errors::CronError| PatternError {
            job: job.name,
            pattern: job.pattern,
            reason: error.to_string(),
        })?;
        Ok(Self { job, cron })
    }

    /// The latest tick at or before `now`; `None` for a pattern that never came true.
    pub(crate) fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        self.cron.find_previous_occurrence(&utc(now), true).ok().map(|tick| tick.timestamp())
    }

    /// The first tick after `now`; `None` for a pattern that will not come true again.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&utc(now), false).ok().map(|tick| tick.timestamp())
    }
}

fn utc(time: Timestamp) -> Zoned {
    time.to_zoned(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{JOBS, Work};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn half_past_every_hour() {
        let schedule = Schedule::new(Job { name: "x", pattern: "30 * * * *", work: Work::CleanUp }).unwrap();
        assert_eq!(schedule.latest(at("2026-03-01T10:29:59Z")), Some(at("2026-03-01T09:30:00Z")));
        assert_eq!(schedule.latest(at("2026-03-01T10:30:00Z")), Some(at("2026-03-01T10:30:00Z")));
        assert_eq!(schedule.next(at("2026-03-01T10:30:00Z")), Some(at("2026-03-01T11:30:00Z")));
    }

    #[test]
    fn every_pattern_of_the_table_is_read_and_has_a_tick_on_both_sides() {
        for job in JOBS {
            let schedule = Schedule::new(job).unwrap();
            let now = at("2026-03-01T10:29:59Z");
            assert!(
                schedule.latest(now).unwrap() <= now && schedule.next(now).unwrap() > now,
                "{}",
                job.name
            );
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let error = Schedule::new(Job { name: "x", pattern: "30 * *", work: Work::CleanUp }).unwrap_err();
        assert!(error.to_string().contains("job x: \"30 * *\""), "{error}");
    }
}
