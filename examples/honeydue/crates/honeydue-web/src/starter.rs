//! The usual tasks of a house, for those who don't want to begin with an empty page.

use honeydue_model::NewTask;
use jiff::{ToSpan as _, civil::Date};

/// Title, first due in so many days, repeated every so many days.
const USUAL: [(&str, i32, i32); 5] = [
    ("Test smoke and CO alarms", 0, 30),
    ("Change the furnace filter", 5, 90),
    ("Clean the range hood filter", 14, 90),
    ("Flush the water heater", 40, 365),
    ("Clean the gutters", 75, 180),
];

/// The usual tasks, beginning on `today`.
pub(crate) fn usual_tasks(today: Date) -> impl Iterator<Item = NewTask> {
    USUAL.into_iter().map(move |(title, first, every)| NewTask {
        title: title.to_owned(),
        notes: String::new(),
        due_on: today.saturating_add(first.days()),
        every_days: Some(every),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_tasks_are_tasks_that_the_api_takes() {
        for task in usual_tasks(jiff::civil::date(2026, 3, 1)) {
            assert_eq!(task.validate(), Ok(()), "{}", task.title);
        }
    }
}
