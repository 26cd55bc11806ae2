//! The pages as values: what each template shows, with dates and distances already in words.

use askama::Template;
use honeydue_model::{
    Completion, Digest, Document, Reminder, Residence, StoredFile, Task, Urgency, schedule,
};
use jiff::civil::Date;

use crate::state::Frame;

/// The front page for those who are not signed in.
#[derive(Template)]
#[template(path = "landing.html")]
pub(crate) struct Landing {
    pub(crate) frame: Frame,
}

/// Sign up or log in.
#[derive(Template)]
#[template(path = "gate.html")]
pub(crate) struct Gate {
    pub(crate) frame: Frame,
    pub(crate) new_account: bool,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) wrong: Option<String>,
}

/// What is due.
#[derive(Template)]
#[template(path = "home.html")]
pub(crate) struct Home {
    pub(crate) frame: Frame,
    pub(crate) first_name: String,
    pub(crate) groups: Vec<Group>,
    pub(crate) residences: Vec<Residence>,
    pub(crate) reminders: Vec<Noted>,
    pub(crate) digest: Option<Digest>,
    pub(crate) today: String,
    pub(crate) wrong: Option<String>,
}

/// Photos of something that was done.
#[derive(Template)]
#[template(path = "done.html")]
pub(crate) struct Done {
    pub(crate) frame: Frame,
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) times: Vec<DoneBefore>,
    pub(crate) pick: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) accept: &'static str,
}

/// One of the times that something was done.
#[derive(Debug)]
pub(crate) struct DoneBefore {
    pub(crate) date: String,
    pub(crate) files: Vec<StoredFile>,
}

/// The documents of a residence.
#[derive(Template)]
#[template(path = "documents.html")]
pub(crate) struct Documents {
    pub(crate) frame: Frame,
    pub(crate) id: i64,
    pub(crate) residence: String,
    pub(crate) documents: Vec<Document>,
    pub(crate) pick: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) accept: &'static str,
}

/// Something went wrong that no form can show.
#[derive(Template)]
#[template(path = "trouble.html")]
pub(crate) struct Trouble {
    pub(crate) frame: Frame,
    pub(crate) heading: &'static str,
    pub(crate) advice: &'static str,
}

/// Tasks that are equally pressing.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) heading: &'static str,
    pub(crate) class: &'static str,
    pub(crate) short: &'static str,
    pub(crate) tasks: Vec<ShownTask>,
}

/// A task in words.
#[derive(Debug)]
pub(crate) struct ShownTask {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) notes: String,
    pub(crate) distance: String,
    pub(crate) date: String,
}

/// A reminder in words.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) title: String,
    pub(crate) residence: String,
    pub(crate) date: String,
}

/// Sorts tasks into groups, most pressing first; empty groups are left out.
pub(crate) fn groups(tasks: Vec<Task>) -> Vec<Group> {
    let mut groups = [
        (Urgency::Overdue, "Overdue", "overdue", "overdue"),
        (Urgency::Today, "Today", "today", "today"),
        (Urgency::Soon, "This week", "soon", "this week"),
        (Urgency::Later, "Later on", "later", "later"),
    ]
    .map(|(urgency, heading, class, short)| (urgency, Group { heading, class, short, tasks: Vec::new() }));
    for task in tasks {
        if let Some((_, group)) = groups.iter_mut().find(|(urgency, _)| *urgency == task.urgency) {
            group.tasks.push(shown(task));
        }
    }
    groups.into_iter().map(|(_, group)| group).filter(|group| !group.tasks.is_empty()).collect()
}

/// Reminders in words.
pub(crate) fn noted(reminders: Vec<Reminder>) -> Vec<Noted> {
    reminders
        .into_iter()
        .map(|reminder| Noted {
            title: reminder.title,
            residence: reminder.residence,
            date: in_words(reminder.due_on),
        })
        .collect()
}

/// The times that something was done, in words.
pub(crate) fn times(completions: Vec<Completion>) -> Vec<DoneBefore> {
    let one = |done: Completion| DoneBefore { date: in_words(done.done_on), files: done.files };
    completions.into_iter().map(one).collect()
}

fn shown(task: Task) -> ShownTask {
    let mut about = vec![task.residence];
    about.extend(task.every_days.map(schedule::every_in_words));
    about.extend(task.last_done_on.map(|date| format!("last done {}", in_words(date))));
    ShownTask {
        id: task.id,
        title: task.title,
        about: about.join(" · "),
        notes: task.notes,
        distance: schedule::in_words(task.days_left),
        date: in_words(task.due_on),
    }
}

fn in_words(date: Date) -> String {
    date.strftime("%-d %b %Y").to_string()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn task(id: i64, due_on: Date) -> Task {
        Task {
            id,
            residence_id: 1,
            residence: "Lake house".into(),
            title: format!("Task {id}"),
            notes: String::new(),
            due_on,
            every_days: Some(90),
            last_done_on: None,
            urgency: Urgency::Later,
            days_left: 0,
        }
        .as_of(date(2026, 3, 10), false)
    }

    #[test]
    fn tasks_are_grouped_by_how_pressing_they_are() {
        let groups =
            groups(vec![task(1, date(2026, 3, 8)), task(2, date(2026, 3, 12)), task(3, date(2026, 9, 1))]);
        let headings: Vec<_> = groups.iter().map(|group| group.heading).collect();
        assert_eq!(headings, ["Overdue", "This week", "Later on"]);
        let late = &groups[0].tasks[0];
        assert_eq!((late.distance.as_str(), late.date.as_str()), ("2 days late", "8 Mar 2026"));
        assert_eq!(late.about, "Lake house · every 3 months");
    }
}
