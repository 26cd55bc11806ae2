//! Which containers to start next, and what the pod has come to. Pure.

use std::time::Instant;

/// A container's place in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`: stays, beside the others.
    Sidecar,
    /// One of `containers`.
    App,
}

/// `restartPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    Always,
    OnFailure,
    Never,
}

impl Restart {
    pub(crate) fn read(policy: Option<&str>) -> Self {
        match policy {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    /// Whether a container of this role that ended with `code` is started again.
    pub(crate) fn again(self, role: Role, code: i32) -> bool {
        match (role, self) {
            (Role::Sidecar, _) | (Role::App, Self::Always) => true,
            (Role::Init, Self::Always | Self::OnFailure) | (Role::App, Self::OnFailure) => code != 0,
            (_, Self::Never) => false,
        }
    }
}

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Never ran here. `blocked`: something it needs is missing.
    New { blocked: bool },
    /// Runs. `started`: its startup probe has passed.
    Running { started: bool },
    /// Ended, and will be started again at this time.
    Due(Instant),
    /// Ended for good with this code.
    Done(i32),
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Containers to start now, by index.
    pub(crate) start: Vec<usize>,
    /// When the next one becomes due.
    pub(crate) wake: Option<Instant>,
    /// Whether every init container has done its part.
    pub(crate) initialized: bool,
    pub(crate) outcome: Outcome,
}

/// What the pod has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Outcome {
    pub(crate) fn phase(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// Reads the containers in their order (init containers first).
pub(crate) fn next(containers: &[(Role, Stand)], now: Instant) -> Steps {
    let mut steps = Steps { start: Vec::new(), wake: None, initialized: true, outcome: Outcome::Pending };
    for (index, (role, stand)) in containers.iter().enumerate().filter(|(_, (role, _))| *role != Role::App) {
        steps.consider(index, *stand, now);
        let passed = match (role, stand) {
            (Role::Sidecar, Stand::Running { started }) => *started,
            (Role::Init, Stand::Done(0)) => true,
            (Role::Init, Stand::Done(_)) => {
                steps.outcome = Outcome::Failed;
                steps.start.clear();
                false
            }
            _ => false,
        };
        if !passed {
            // A sidecar that is down for a moment does not undo what came after it.
            let later_ran =
                containers[index + 1..].iter().any(|(_, stand)| !matches!(stand, Stand::New { .. }));
            if *role == Role::Sidecar && later_ran {
                continue;
            }
            steps.initialized = false;
            return steps;
        }
    }
    let apps = || containers.iter().enumerate().filter(|(_, (role, _))| *role == Role::App);
    for (index, (_, stand)) in apps() {
        steps.consider(index, *stand, now);
    }
    let ended: Vec<i32> = apps()
        .filter_map(|(_, (_, stand))| if let Stand::Done(code) = stand { Some(*code) } else { None })
        .collect();
    steps.outcome = if ended.len() == apps().count() && !ended.is_empty() {
        steps.start.clear();
        if ended.iter().all(|code| *code == 0) { Outcome::Succeeded } else { Outcome::Failed }
    } else if apps().all(|(_, (_, stand))| !matches!(stand, Stand::New { .. })) {
        Outcome::Running
    } else {
        Outcome::Pending
    };
    steps
}

impl Steps {
    fn consider(&mut self, index: usize, stand: Stand, now: Instant) {
        match stand {
            Stand::New { blocked: false } => self.start.push(index),
            Stand::Due(at) if at <= now => self.start.push(index),
            Stand::Due(at) => self.wake = Some(self.wake.map_or(at, |wake| wake.min(at))),
            Stand::New { blocked: true } | Stand::Running { .. } | Stand::Done(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NEW: Stand = Stand::New { blocked: false };
    const UP: Stand = Stand::Running { started: true };

    fn check(containers: &[(Role, Stand)], start: &[usize], outcome: Outcome) {
        let steps = next(containers, Instant::now());
        assert_eq!((steps.start.as_slice(), steps.outcome), (start, outcome), "{containers:?}");
    }

    #[test]
    fn init_containers_go_one_by_one() {
        use Role::{App, Init};
        check(&[(Init, NEW), (Init, NEW), (App, NEW)], &[0], Outcome::Pending);
        check(&[(Init, UP), (Init, NEW), (App, NEW)], &[], Outcome::Pending);
        check(&[(Init, Stand::Done(0)), (Init, NEW), (App, NEW)], &[1], Outcome::Pending);
        check(
            &[(Init, Stand::Done(0)), (Init, Stand::Done(0)), (App, NEW), (App, NEW)],
            &[2, 3],
            Outcome::Pending,
        );
        check(&[(Init, Stand::Done(1)), (App, NEW)], &[], Outcome::Failed);
    }

    #[test]
    fn a_sidecar_must_have_started_before_the_next() {
        use Role::{App, Sidecar};
        check(&[(Sidecar, NEW), (App, NEW)], &[0], Outcome::Pending);
        check(&[(Sidecar, Stand::Running { started: false }), (App, NEW)], &[], Outcome::Pending);
        check(&[(Sidecar, UP), (App, NEW)], &[1], Outcome::Pending);
        check(&[(Sidecar, UP), (App, Stand::Done(0))], &[], Outcome::Succeeded);
        check(&[(Sidecar, Stand::Due(Instant::now())), (App, UP)], &[0], Outcome::Running);
    }

    #[test]
    fn phases() {
        use Role::App;
        let later = Stand::Due(Instant::now() + Duration::from_secs(60));
        check(&[(App, UP), (App, NEW)], &[1], Outcome::Pending);
        check(&[(App, UP), (App, Stand::New { blocked: true })], &[], Outcome::Pending);
        check(&[(App, later)], &[], Outcome::Running);
        check(&[(App, Stand::Done(0)), (App, UP)], &[], Outcome::Running);
        check(&[(App, Stand::Done(0)), (App, Stand::Done(0))], &[], Outcome::Succeeded);
        check(&[(App, Stand::Done(0)), (App, Stand::Done(2))], &[], Outcome::Failed);
        assert!(next(&[(App, later)], Instant::now()).wake.is_some());
    }

    #[test]
    fn who_is_started_again() {
        use Restart::{Always, Never, OnFailure};
        for (policy, role, code, expected) in [
            (Always, Role::App, 0, true),
            (OnFailure, Role::App, 0, false),
            (OnFailure, Role::App, 1, true),
            (Never, Role::App, 1, false),
            (Always, Role::Init, 0, false),
            (Always, Role::Init, 1, true),
            (Never, Role::Init, 1, false),
            (Never, Role::Sidecar, 0, true),
        ] {
            assert_eq!(policy.again(role, code), expected, "{policy:?} {role:?} {code}");
        }
    }
}
