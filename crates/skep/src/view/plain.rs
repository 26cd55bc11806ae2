//! A line an event, for logs and pipes: nothing moves, nothing is said twice.

use std::{collections::HashSet, sync::Mutex};

use skep_model::{Event, Outcome, Progress, Step, WorkloadState};

use super::words::{bytes, duration};

/// Remembers what was said, because a CI log should not repeat itself.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    said: Mutex<HashSet<String>>,
}

impl Plain {
    pub(crate) fn print(&self, event: &Event) {
        let Some(line) = line(event) else { return };
        let new = self.said.lock().map_or(true, |mut said| said.insert(line.clone()));
        if new || matches!(event, Event::BuildOutput { .. } | Event::MigrateOutput { .. }) {
            anstream::eprintln!("{line}");
        }
    }
}

/// `502 in 4 ms` without its time, so that the same answer is said once.
fn steady(answer: &str) -> &str {
    answer.split_once(" in ").map_or(answer, |(status, _)| status)
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::StepFinished { step, outcome, summary, millis } => {
            let mark = match outcome {
                Outcome::Done => "ok",
                Outcome::Unchanged => "--",
                Outcome::Failed => "FAILED",
            };
            format!("{step:<8} {mark:<6} {summary} ({})", duration(*millis))
        }
        Event::StepStarted { .. } | Event::Applied { .. } => return None,
        Event::Image { image, step: Step::Build, progress: Progress::Finished { millis, changed: true } } => {
            format!("  {image}: built ({})", duration(*millis))
        }
        Event::Image { .. } => return None,
        Event::BuildOutput { image, line } => format!("  {image} | {line}"),
        Event::Pushed { image, bytes: 0, digest } => {
            format!("  {image}: in the registry already ({})", digest.short(12))
        }
        Event::Pushed { image, bytes: sent, digest } => {
            format!("  {image}: pushed {} ({})", bytes(*sent), digest.short(12))
        }
        Event::MigrateOutput { line } => format!("  migrate | {line}"),
        Event::Pruned { object } => format!("  removed {object}"),
        Event::Workload { object, state } => match state {
            WorkloadState::Progressing { ready, wanted, waiting_for } => {
                format!("  {}: {ready}/{wanted}, waiting for {waiting_for}", object.name)
            }
            WorkloadState::Ready { wanted, .. } => format!("  {}: ready {wanted}/{wanted}", object.name),
            WorkloadState::Failed { cause } => format!("  {}: FAILED: {cause}", object.name),
        },
        Event::Verified { url, ok: true, answer } => format!("  {url}: {answer}"),
        Event::Verified { url, ok: false, answer } => format!("  {url}: not yet: {}", steady(answer)),
        Event::Warning { message } => format!("warning: {message}"),
        Event::ReleaseOpened { number } => format!("  release v{number}"),
    })
}
