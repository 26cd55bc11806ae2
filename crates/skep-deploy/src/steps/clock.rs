//! Says when steps begin and end, and remembers how long each took.

use jiff::Timestamp;
use skep_model::{Emit, Event, Outcome, Step, StepTiming};
use tokio::time::Instant;

use crate::Failure;

#[derive(Debug)]
pub(crate) struct Clock {
    emit: Emit,
    current: Option<(Step, Instant, Timestamp)>,
    timings: Vec<StepTiming>,
}

impl Clock {
    pub(crate) fn new(emit: &Emit) -> Self {
        Self { emit: emit.clone(), current: None, timings: Vec::new() }
    }

    pub(crate) fn start(&mut self, step: Step) {
        self.current = Some((step, Instant::now(), skep_ambient::now()));
        self.emit.emit(Event::StepStarted { step });
    }

    /// Ends the step with what came of it; `summary` says it in a few words.
    pub(crate) fn settle<T>(
        &mut self,
        step: Step,
        result: Result<T, Failure>,
        summary: impl FnOnce(&T) -> (Outcome, String),
    ) -> Result<T, Failure> {
        let (outcome, summary) = match &result {
            Ok(value) => summary(value),
            Err(failure) => (Outcome::Failed, first_line(&failure.to_string())),
        };
        self.end(step, outcome, summary);
        result
    }

    /// Ends the step that is being done, if one is: for what was interrupted.
    pub(crate) fn abandon(&mut self, summary: &str) {
        if let Some((step, ..)) = self.current {
            self.end(step, Outcome::Failed, summary.to_owned());
        }
    }

    /// The step that is being done, or was done last.
    pub(crate) fn step(&self) -> Step {
        self.current
            .map(|(step, ..)| step)
            .or(self.timings.last().map(|timing| timing.step))
            .unwrap_or(Step::Load)
    }

    pub(crate) fn timings(&self) -> Vec<StepTiming> {
        self.timings.clone()
    }

    fn end(&mut self, step: Step, outcome: Outcome, summary: String) {
        let (started, millis) = match self.current.take() {
            Some((current, since, at)) if current == step => {
                (Some(at), u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX))
            }
            _ => (None, 0),
        };
        self.timings.push(StepTiming { step, started, millis });
        self.emit.emit(Event::StepFinished { step, outcome, summary, millis });
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
