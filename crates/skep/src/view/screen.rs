//! The live view as a value: events in, lines out. Drawing them is somebody else's.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use skep_model::{Event, Outcome, Progress, Step, WorkloadState};

use super::words::{bytes, duration, left, pods};
use crate::terminal::{Paint as _, Style, visible};

/// Columns that the text of a line may fill before its time.
const TEXT: usize = 62;
const SPINNER: &[&str] = &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// What has been said so far.
#[derive(Debug)]
pub(crate) struct Screen {
    title: String,
    began: Instant,
    steps: Vec<StepLine>,
    notes: Vec<String>,
    /// What is said between two steps, and after how many.
    heads: Vec<(usize, String)>,
}

#[derive(Debug)]
struct StepLine {
    step: Step,
    began: Instant,
    end: Option<(Outcome, String, u64)>,
    /// A line for each image, service or URL of the step.
    parts: BTreeMap<String, Part>,
    last_output: Option<String>,
}

#[derive(Debug)]
struct Part {
    mark: Mark,
    text: String,
    millis: Option<u64>,
    /// When it has failed if nothing moves until then.
    until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Moving,
    Good,
    Bad,
}

impl Screen {
    pub(crate) fn new(title: &str, now: Instant) -> Self {
        Self { title: title.to_owned(), began: now, steps: Vec::new(), notes: Vec::new(), heads: Vec::new() }
    }

    /// Takes in what happened.
    pub(crate) fn take(&mut self, event: Event, now: Instant) {
        match event {
            Event::StepStarted { step } => {
                self.steps.push(StepLine {
                    step,
                    began: now,
                    end: None,
                    parts: BTreeMap::new(),
                    last_output: None,
                });
            }
            Event::StepFinished { step, outcome, summary, millis } => {
                if let Some(line) = self.steps.iter_mut().rev().find(|line| line.step == step) {
                    line.end = Some((outcome, summary, millis));
                }
            }
            Event::Image { image, progress, .. } => {
                let (mark, text, millis) = match progress {
                    Progress::Started => (Mark::Moving, String::new(), None),
                    Progress::Bytes { sent, total } => {
                        (Mark::Moving, format!("{} of {}", bytes(sent), bytes(total)), None)
                    }
                    Progress::Finished { millis, changed: true } => {
                        (Mark::Good, "built".to_owned(), Some(millis))
                    }
                    Progress::Finished { millis, changed: false } => {
                        (Mark::Good, "unchanged".to_owned(), Some(millis))
                    }
                };
                self.part(image, mark, text, millis);
            }
            Event::Pushed { image, bytes: Some(0), .. } => {
                self.part(image, Mark::Good, "in the registry".to_owned(), None);
            }
            Event::Pushed { image, bytes: sent, .. } => {
                self.part(
                    image,
                    Mark::Good,
                    sent.map_or("sent".to_owned(), |sent| format!("{} sent", bytes(sent))),
                    None,
                );
            }
            Event::Workload { object, state } => {
                let until = match &state {
                    WorkloadState::Progressing { deadline, .. } => deadline.and_then(|at| until(at, now)),
                    _ => None,
                };
                let (mark, text, millis) = match state {
                    WorkloadState::Progressing { ready, wanted, old, failing: Some(failing), .. } => {
                        (Mark::Bad, format!("{} failing: {failing}", pods(ready, wanted, old)), None)
                    }
                    WorkloadState::Progressing { ready, wanted, old, waiting_for, .. } => {
                        (Mark::Moving, format!("{} {waiting_for}", pods(ready, wanted, old)), None)
                    }
                    WorkloadState::Ready { wanted, millis } => {
                        (Mark::Good, format!("{wanted}/{wanted} ready"), Some(millis))
                    }
                    WorkloadState::Failed { cause } => (Mark::Bad, cause, None),
                };
                self.part(object.name.clone(), mark, text, millis);
                let part = self.steps.last_mut().and_then(|step| step.parts.get_mut(&object.name));
                part.into_iter().for_each(|part| part.until = until);
            }
            Event::Verified { check, ok, answer } => {
                self.part(check, if ok { Mark::Good } else { Mark::Moving }, answer, None);
            }
            Event::BuildOutput { line, .. } | Event::MigrateOutput { line } => {
                if let Some(step) = self.steps.last_mut() {
                    step.last_output = Some(line);
                }
            }
            Event::WillRestart { object, because } => {
                self.part(object.name, Mark::Good, format!("will restart: {}", because.join(", ")), None);
            }
            Event::WillRemove { object, because } => {
                self.notes.push(format!("will remove {object}: {because}"));
            }
            Event::Restoring { failed, to, .. } => {
                self.heads.push((self.steps.len(), format!("v{failed} failed; v{to} is put back")));
            }
            Event::Warning { message } => self.notes.push(format!("warning: {message}")),
            Event::Pruned { object } => {
                let announced = format!("will remove {object}: ");
                for note in &mut self.notes {
                    if let Some(because) = note.strip_prefix(&announced) {
                        *note = format!("removed {object}: {because}");
                    }
                }
            }
            Event::ReleaseOpened { .. } | Event::Applied { .. } => {}
        }
    }

    fn part(&mut self, name: String, mark: Mark, text: String, millis: Option<u64>) {
        if let Some(step) = self.steps.last_mut() {
            step.parts.insert(name, Part { mark, text, millis, until: None });
        }
    }

    /// The screen as lines, none wider than 80 columns.
    pub(crate) fn lines(&self, now: Instant) -> Vec<String> {
        let mut lines = vec![self.title.bold().to_string()];
        for (index, step) in self.steps.iter().enumerate() {
            let heads = self.heads.iter().filter(|(after, _)| *after == index);
            lines.extend(heads.map(|(_, head)| head.bold().to_string()));
            lines.push(step.line(now, self.spin(now)));
            if step.shows_parts() {
                let width = step.parts.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(34);
                lines.extend(
                    step.parts.iter().map(|(name, part)| part.line(name, width, self.spin(now), now)),
                );
            }
            if let (None, Some(output)) = (&step.end, &step.last_output) {
                lines.push(format!("      {}", fit(output, TEXT + 10).dimmed()));
            }
        }
        lines.extend(self.notes.iter().map(|note| format!("  {}", note.yellow())));
        lines
    }

    fn spin(&self, now: Instant) -> &'static str {
        let tick = now.duration_since(self.began).as_millis() / 100;
        SPINNER[usize::try_from(tick).unwrap_or(0) % SPINNER.len()]
    }
}

impl StepLine {
    fn line(&self, now: Instant, spinner: &str) -> String {
        let (mark, style, text, millis) = match &self.end {
            None => {
                let millis = u64::try_from(now.duration_since(self.began).as_millis()).unwrap_or(0);
                (spinner, Style::Cyan, self.progress(), millis)
            }
            Some((Outcome::Done, summary, millis)) => ("✓", Style::Green, summary.clone(), *millis),
            Some((Outcome::Unchanged, summary, millis)) => ("·", Style::Dimmed, summary.clone(), *millis),
            Some((Outcome::Failed, summary, millis)) => ("✗", Style::Red, summary.clone(), *millis),
        };
        let text = fit(&text, TEXT - 9);
        let step = self.step.to_string();
        format!(
            "  {} {:<8} {text:<width$} {:>6}",
            mark.style(style),
            step,
            duration(millis).dimmed().to_string(),
            width = TEXT - 9
        )
        .trim_end()
        .to_owned()
    }

    fn progress(&self) -> String {
        let good = self.parts.values().filter(|part| part.mark == Mark::Good).count();
        if self.parts.is_empty() { String::new() } else { format!("{good} of {}", self.parts.len()) }
    }

    /// Parts are worth their lines while they move, and after the steps whose parts people ask about.
    fn shows_parts(&self) -> bool {
        let failed = matches!(self.end, Some((Outcome::Failed, ..)));
        self.end.is_none() || failed || matches!(self.step, Step::Plan | Step::Roll | Step::Verify)
    }
}

impl Part {
    fn line(&self, name: &str, width: usize, spinner: &str, now: Instant) -> String {
        let (mark, style) = match self.mark {
            Mark::Moving => (spinner, Style::Cyan),
            Mark::Good => ("✓", Style::Green),
            Mark::Bad => ("✗", Style::Red),
        };
        let name = fit(name, width);
        let room = TEXT.saturating_sub(width + 4);
        let text = fit(&self.text, room);
        let left = self.until.map(|until| left(until.saturating_duration_since(now)));
        let time = self.millis.map(duration).or(left).unwrap_or_default();
        format!("      {} {name:<width$} {text:<room$} {:>5}", mark.style(style), time.dimmed().to_string())
            .trim_end()
            .to_owned()
    }
}

/// A moment of the clock that people share, on the one that only goes forward.
fn until(deadline: Timestamp, now: Instant) -> Option<Instant> {
    let left: Duration = deadline.duration_since(Timestamp::now()).try_into().ok()?;
    now.checked_add(left)
}

/// The text in at most `room` columns, cut with an ellipsis.
fn fit(text: &str, room: usize) -> String {
    let text = visible(&text.replace(['\n', '\t'], " "));
    if text.chars().count() <= room {
        return text;
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}
