//! When a task is due, and how pressing that is. Days are civil days in UTC: a house doesn't care about hours.

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

/// A task counts as due soon from this many days before its date.
pub const SOON_DAYS: i32 = 7;

/// How pressing a task is, most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// The date has passed.
    Overdue,
    /// It is today.
    Today,
    /// It is within [`SOON_DAYS`].
    Soon,
    /// It is further off.
    Later,
    /// Nothing is left to do.
    Done,
}

impl Urgency {
    /// How pressing something due on `due` is on `today`.
    #[must_use]
    pub fn of(due: Date, today: Date) -> Self {
        match days_left(due, today) {
            i32::MIN..=-1 => Self::Overdue,
            0 => Self::Today,
            1..=SOON_DAYS => Self::Soon,
            _ => Self::Later,
        }
    }
}

/// Whole days from `today` to `due`; negative when it has passed.
#[must_use]
pub fn days_left(due: Date, today: Date) -> i32 {
    (due - today).get_days()
}

/// When a repeating task falls due again after it was done on `done_on`.
///
/// Counted from the day of the work, not from the missed date: a filter changed late is good for its full time.
/// Saturates at the last day of the calendar.
#[must_use]
pub fn next_due(done_on: Date, every_days: i32) -> Date {
    done_on.saturating_add(every_days.days())
}

/// The distance in the words of a person: "today", "in 3 days", "2 days late".
#[must_use]
pub fn in_words(days_left: i32) -> String {
    match days_left {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        -1 => "1 day late".to_owned(),
        days if days < 0 => format!("{} days late", days.unsigned_abs()),
        days => format!("in {days} days"),
    }
}

/// How often, in the words of a person.
#[must_use]
pub fn every_in_words(every_days: i32) -> String {
    match every_days {
        1 => "every day".to_owned(),
        7 => "every week".to_owned(),
        30 => "every month".to_owned(),
        90 => "every 3 months".to_owned(),
        180 => "every 6 months".to_owned(),
        365 => "every year".to_owned(),
        days => format!("every {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn urgency_changes_at_midnight_and_at_a_week() {
        let today = date(2026, 3, 1);
        let cases = [
            (date(2026, 2, 28), Urgency::Overdue),
            (date(2026, 3, 1), Urgency::Today),
            (date(2026, 3, 2), Urgency::Soon),
            (date(2026, 3, 8), Urgency::Soon),
            (date(2026, 3, 9), Urgency::Later),
            (date(2027, 3, 1), Urgency::Later),
        ];
        for (due, expected) in cases {
            assert_eq!(Urgency::of(due, today), expected, "due {due}");
        }
    }

    #[test]
    fn a_late_repeat_is_counted_from_the_work() {
        assert_eq!(next_due(date(2026, 3, 10), 90), date(2026, 6, 8));
        assert_eq!(next_due(date(2028, 2, 28), 1), date(2028, 2, 29));
        assert_eq!(next_due(Date::MAX, 30), Date::MAX);
    }

    #[test]
    fn distances_read_well() {
        let words: Vec<_> = [-12, -1, 0, 1, 6].into_iter().map(in_words).collect();
        assert_eq!(words, ["12 days late", "1 day late", "today", "tomorrow", "in 6 days"]);
    }
}
