//! Tasks: what a residence wants done, and by when.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    schedule::{Urgency, days_left},
    valid::{Invalid, is_text, require},
};

/// Something to do at a residence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Stable for as long as the task exists.
    pub id: i64,
    /// The residence's id.
    pub residence_id: i64,
    /// The residence's name.
    pub residence: String,
    /// "Change the furnace filter".
    pub title: String,
    /// Anything else; may be empty.
    pub notes: String,
    /// The day it is due.
    pub due_on: Date,
    /// It falls due again this many days after it was done; absent for something done once.
    pub every_days: Option<i32>,
    /// When it was last done.
    pub last_done_on: Option<Date>,
    /// How pressing it is as of the answer.
    pub urgency: Urgency,
    /// Days until it is due; negative when overdue.
    pub days_left: i32,
}

impl Task {
    /// Fills in what depends on the day.
    #[must_use]
    pub fn as_of(mut self, today: Date, done: bool) -> Self {
        self.days_left = days_left(self.due_on, today);
        self.urgency = if done { Urgency::Done } else { Urgency::of(self.due_on, today) };
        self
    }
}

/// A request for a new task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewTask {
    /// See [`Task::title`].
    pub title: String,
    /// See [`Task::notes`].
    #[serde(default)]
    pub notes: String,
    /// See [`Task::due_on`], as `2026-03-01`.
    pub due_on: Date,
    /// See [`Task::every_days`].
    #[serde(default)]
    pub every_days: Option<i32>,
}

impl NewTask {
    /// Checks every field. A date in the past is fine: that is how things are found to be overdue.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn validate(&self) -> Result<(), Invalid> {
        require(is_text(&self.title, 1, 120), "title", "a task's title has 1 to 120 characters")?;
        require(is_text(&self.notes, 0, 2000), "notes", "notes have at most 2000 characters")?;
        require(
            (2000..=2100).contains(&self.due_on.year()),
            "due_on",
            "a due date lies between the years 2000 and 2100",
        )?;
        require(
            self.every_days.is_none_or(|days| (1..=3650).contains(&days)),
            "every_days",
            "a task repeats every 1 to 3650 days",
        )
    }
}

/// A note, made by the worker, that a task's date has come near.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminder {
    /// The task's id.
    pub task_id: i64,
    /// The task's title.
    pub title: String,
    /// The residence's name.
    pub residence: String,
    /// The day it is about.
    pub due_on: Date,
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn task() -> NewTask {
        NewTask {
            title: "Clean the gutters".into(),
            notes: String::new(),
            due_on: date(2026, 10, 1),
            every_days: None,
        }
    }

    #[test]
    fn a_sound_task_passes_and_each_broken_field_is_named() {
        assert_eq!(task().validate(), Ok(()));
        let cases = [
            (NewTask { title: String::new(), ..task() }, "title"),
            (NewTask { title: "bell \u{7}".into(), ..task() }, "title"),
            (NewTask { notes: "x".repeat(2001), ..task() }, "notes"),
            (NewTask { due_on: date(1999, 12, 31), ..task() }, "due_on"),
            (NewTask { every_days: Some(0), ..task() }, "every_days"),
        ];
        for (request, field) in cases {
            assert_eq!(request.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn dates_travel_as_plain_days() {
        let task: NewTask = serde_json::from_str(r#"{"title":"x","due_on":"2026-10-01"}"#).unwrap();
        assert_eq!(task.due_on, date(2026, 10, 1));
        assert_eq!(serde_json::to_value(&task).unwrap()["due_on"], "2026-10-01");
    }
}
