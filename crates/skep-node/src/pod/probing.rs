//! When a probe is due and what its answers add up to. Time is passed in.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Probe;

/// Which of a container's probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

impl Kind {
    /// As in `Readiness probe failed`.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// One probe of one run of a container.
#[derive(Debug, Clone)]
pub(crate) struct Probing {
    kind: Kind,
    period: Duration,
    success_threshold: i32,
    failure_threshold: i32,
    due: Instant,
    asking: bool,
    streak: (bool, i32),
    verdict: Option<bool>,
}

impl Probing {
    /// A probe of a container that started at `started`.
    pub(crate) fn new(kind: Kind, probe: &Probe, started: Instant) -> Self {
        let seconds = |value: Option<i32>, default: i32| {
            Duration::from_secs(u64::try_from(value.unwrap_or(default)).unwrap_or(0))
        };
        Self {
            kind,
            period: seconds(probe.period_seconds.filter(|period| *period > 0), 10),
            success_threshold: probe.success_threshold.unwrap_or(1).max(1),
            failure_threshold: probe.failure_threshold.unwrap_or(3).max(1),
            due: started + seconds(probe.initial_delay_seconds, 0),
            asking: false,
            streak: (true, 0),
            verdict: None,
        }
    }

    /// Whether to ask now. Startup probes end with their success; the others wait for it.
    pub(crate) fn is_due(&self, now: Instant, startup_done: bool) -> bool {
        self.wakes(startup_done).is_some_and(|due| due <= now)
    }

    /// When to look again; `None` while an answer is awaited or nothing is to be asked.
    pub(crate) fn wakes(&self, startup_done: bool) -> Option<Instant> {
        let wanted = if self.kind == Kind::Startup { self.verdict.is_none() } else { startup_done };
        (wanted && !self.asking).then_some(self.due)
    }

    /// The question was put at `now`.
    pub(crate) fn ask(&mut self, now: Instant) {
        self.asking = true;
        // From the question, not the answer; never in a burst after a pause.
        self.due = (self.due + self.period).max(now + self.period / 2);
    }

    /// The answer came. Returns the new verdict if it changed, or repeats a failure that has reached its threshold.
    pub(crate) fn answer(&mut self, success: bool) -> Option<bool> {
        self.asking = false;
        self.streak = if self.streak.0 == success { (success, self.streak.1 + 1) } else { (success, 1) };
        let threshold = if success { self.success_threshold } else { self.failure_threshold };
        if self.streak.1 < threshold || self.verdict == Some(success) {
            return None;
        }
        self.verdict = Some(success);
        Some(success)
    }

    /// `None` until a threshold is reached.
    pub(crate) fn verdict(&self) -> Option<bool> {
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn probing(kind: Kind, probe: serde_json::Value) -> (Probing, Instant) {
        let start = Instant::now();
        (Probing::new(kind, &serde_json::from_value(probe).unwrap(), start), start)
    }

    #[test]
    fn thresholds_count_in_a_row() {
        let (mut probe, _) = probing(Kind::Readiness, json!({"successThreshold": 2, "failureThreshold": 3}));
        let answers = [true, false, true, true, true, false, false, true, false, false, false, false];
        let verdicts: Vec<_> = answers.iter().map(|answer| probe.answer(*answer)).collect();
        let (none, yes, no) = (None, Some(true), Some(false));
        assert_eq!(verdicts, [none, none, none, yes, none, none, none, none, none, none, no, none]);
    }

    #[test]
    fn questions_keep_their_period() {
        let second = Duration::from_secs(1);
        let (mut probe, start) =
            probing(Kind::Liveness, json!({"initialDelaySeconds": 5, "periodSeconds": 2}));
        assert!(!probe.is_due(start + 4 * second, true));
        assert!(!probe.is_due(start + 5 * second, false), "the startup probe comes first");
        assert!(probe.is_due(start + 5 * second, true));
        probe.ask(start + 5 * second);
        assert_eq!(probe.wakes(true), None, "one question at a time");
        probe.answer(true);
        assert_eq!(probe.wakes(true), Some(start + 7 * second));
        probe.ask(start + 60 * second);
        probe.answer(true);
        assert_eq!(probe.wakes(true), Some(start + 61 * second), "no burst after a pause");
    }

    #[test]
    fn a_startup_probe_ends_with_its_verdict() {
        let (mut probe, start) = probing(Kind::Startup, json!({"failureThreshold": 240}));
        assert!(probe.is_due(start, false));
        probe.ask(start);
        assert_eq!(probe.answer(true), Some(true));
        assert_eq!(probe.wakes(true), None);
    }
}
