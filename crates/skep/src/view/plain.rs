//! A line an event, for logs and pipes: nothing moves, nothing is said twice.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use skep_model::{Event, Outcome, Progress, Step, WorkloadState};

use super::words::{bytes, duration, pods};

/// A workload that has no more ready pods than before is spoken of no more often than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Remembers what was said, because a CI log should not repeat itself.
#[derive(Debug, Default)]
pub(crate) struct Plain(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    lines: HashSet<String>,
    workloads: HashMap<String, (u32, Instant)>,
}

impl Plain {
    pub(crate) fn print(&self, event: &Event) {
        let Some(line) = line(event) else { return };
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).is_news(event, &line, Instant::now()) {
            errln!("{line}");
        }
    }
}

impl Said {
    fn is_news(&mut self, event: &Event, line: &str, now: Instant) -> bool {
        if let Event::Restoring { .. } = event {
            // What follows are the steps of another release.
            *self = Self::default();
        }
        if matches!(event, Event::BuildOutput { .. } | Event::MigrateOutput { .. }) {
            return true;
        }
        if let Event::Workload { object, state: WorkloadState::Progressing { ready, failing: None, .. } } =
            event
        {
            match self.workloads.get(&object.name) {
                Some((before, at)) if before == ready && now.duration_since(*at) < PATIENCE => return false,
                _ => self.workloads.insert(object.name.clone(), (*ready, now)),
            };
        }
        self.lines.insert(line.to_owned())
    }
}

/// `502 in 4 ms` without its time, so that the same answer is said once.
fn steady(answer: &str) -> String {
    let timed =
        answer.split_once(" in ").and_then(|(status, rest)| Some((status, rest.split_once(" ms")?.1)));
    timed.map_or_else(|| answer.to_owned(), |(status, rest)| format!("{status}{rest}"))
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
        // What the registry has already is said by the step's own line.
        Event::Pushed { bytes: Some(0), .. } => return None,
        Event::Pushed { image, bytes: sent, digest } => {
            let sent = sent.map(|sent| format!(" {}", bytes(sent))).unwrap_or_default();
            format!("  {image}: pushed{sent} ({})", digest.short(12))
        }
        Event::MigrateOutput { line } => format!("  migrate | {line}"),
        Event::Pruned { object } => format!("  removed {object}"),
        Event::Workload { object, state } => match state {
            WorkloadState::Progressing { ready, wanted, old, failing: Some(failing), .. } => {
                format!("  {}: {}, failing: {failing}", object.name, pods(*ready, *wanted, *old))
            }
            WorkloadState::Progressing { ready, wanted, old, waiting_for, failing: None, .. } => {
                format!("  {}: {}, waiting for {waiting_for}", object.name, pods(*ready, *wanted, *old))
            }
            WorkloadState::Ready { wanted, .. } => format!("  {}: ready {wanted}/{wanted}", object.name),
            WorkloadState::Failed { cause } => format!("  {}: FAILED: {cause}", object.name),
        },
        Event::Verified { check, ok: true, answer } => format!("  {check}: {answer}"),
        Event::Verified { check, ok: false, answer } => format!("  {check}: not yet: {}", steady(answer)),
        Event::Warning { message } => format!("warning: {message}"),
        Event::Restoring { failed, to, because } => {
            format!("v{failed} failed: {because}\nv{to} is put back")
        }
        Event::WillRestart { object, because } => {
            format!("  {} will restart: {}", object.name, because.join(", "))
        }
        Event::WillRemove { object, because } => format!("  will remove {object}: {because}"),
        Event::ReleaseOpened { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use skep_model::ObjectKey;

    use super::*;

    fn progressing(ready: u32, waiting_for: &str) -> Event {
        let object = ObjectKey {
            kind: "Deployment".to_owned(),
            namespace: None,
            name: "api".to_owned(),
            api_version: "apps/v1".to_owned(),
        };
        let waiting_for = waiting_for.to_owned();
        Event::Workload {
            object,
            state: WorkloadState::Progressing {
                ready,
                wanted: 3,
                old: 0,
                deadline: None,
                waiting_for,
                failing: None,
            },
        }
    }

    #[test]
    fn a_workload_is_spoken_of_when_it_moves_or_takes_its_time() {
        let mut said = Said::default();
        let begin = Instant::now();
        let mut news = |event: &Event, after: u64| {
            let line = line(event).expect("it has a line");
            said.is_news(event, &line, begin + Duration::from_secs(after))
        };
        assert!(news(&progressing(0, "its pod"), 0));
        assert!(!news(&progressing(0, "its startup probe"), 1));
        assert!(news(&progressing(1, "its startup probe"), 2));
        assert!(news(&progressing(1, "its readiness probe"), 8));
        assert!(!news(&progressing(1, "its readiness probe"), 20), "nothing is said twice");
    }
}
