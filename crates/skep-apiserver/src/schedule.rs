//! When a CronJob is due.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::meta;

/// The times of a CronJob.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Of a CronJob, in its own time zone or else in UTC. `None` when it can't be read, which the API does not let in.
    #[must_use]
    pub fn of(cron_job: &Value) -> Option<Self> {
        let cron = parse(meta::text(cron_job, "/spec/schedule")?).ok()?;
        let zone = meta::text(cron_job, "/spec/timeZone").filter(|zone| !zone.is_empty());
        Some(Self { cron, zone: TimeZone::get(zone.unwrap_or("UTC")).ok()? })
    }

    /// The first time after this one; `None` for a day that no calendar has.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&at.to_zoned(self.zone.clone()), false);
        Some(next.ok()?.timestamp())
    }
}

/// Reads five fields or a name such as `@daily`.
pub(crate) fn parse(schedule: &str) -> Result<Cron, String> {
    if schedule.to_ascii_uppercase().contains("TZ=") {
        return Err("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(schedule).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn next(schedule: &str, zone: Option<&str>, at: &str) -> String {
        let schedule = Schedule::of(&json!({"spec": {"schedule": schedule, "timeZone": zone}})).unwrap();
        schedule.next_after(at.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn schedules_are_read_as_crontabs() {
        let noon = "2026-11-27T12:00:00Z";
        assert_eq!(next("*/5 * * * *", None, noon), "2026-11-27T12:05:00Z");
        assert_eq!(next("@hourly", None, noon), "2026-11-27T13:00:00Z");
        assert_eq!(next("30 2 * * MON", None, noon), "2026-11-30T02:30:00Z");
        assert_eq!(next("0 9 * * *", Some("Europe/Berlin"), noon), "2026-11-28T08:00:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for wrong in ["", "* * * *", "* * * * * *", "61 * * * *", "@often", "TZ=UTC * * * * *"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let never = Schedule::of(&json!({"spec": {"schedule": "0 0 31 2 *"}})).unwrap();
        assert!(never.next_after(Timestamp::UNIX_EPOCH).is_none());
    }
}
