//! A container of a pod as its task knows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Probe};
use nix::sys::signal::Signal;
use tokio::task::AbortHandle;

use super::backoff::Ladder;
use super::plan::{Role, Stand};
use super::prober::Target;
use super::probing::{Kind, Probing};
use super::record::{ContainerRecord, Ending};
use super::status::{ContainerView, StateView};
use crate::cgroup::Group;

/// One container through all its runs.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) container: Arc<Container>,
    pub(super) role: Role,
    pub(super) state: State,
    pub(super) last: Option<Ending>,
    /// How often it was started before the present run.
    pub(super) restarts: i32,
    pub(super) ladder: Ladder,
    pub(super) image_id: String,
    pub(super) container_id: String,
}

/// Where it is.
#[derive(Debug)]
pub(super) enum State {
    /// Not started yet, or not again.
    Waiting {
        reason: String,
        message: Option<String>,
        hold: Hold,
    },
    /// Ended; starts again at `until`, after a delay of `delay`.
    Backing {
        ending: Ending,
        until: Instant,
        delay: Duration,
    },
    Running(Box<Run>),
    /// Ended for good.
    Ended(Ending),
}

/// What a waiting container waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Its turn.
    Turn,
    /// Another input: an image, a ConfigMap, a key.
    Input,
    /// Its image is being unpacked.
    Unpacking,
}

/// One run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) pid: i32,
    pub(super) since: Timestamp,
    pub(super) at: Instant,
    pub(super) target: Target,
    pub(super) probes: BTreeMap<Kind, (Arc<Probe>, Probing)>,
    /// Its postStart hook has not returned.
    pub(super) hooked: bool,
    pub(super) group: Group,
    pub(super) stop_signal: Signal,
    /// The task that is stopping it, and whether that is the pod's own end.
    pub(super) stopping: Option<(AbortHandle, bool)>,
}

impl Run {
    /// The startup probe has passed, or there is none.
    pub(super) fn started(&self) -> bool {
        !self.hooked
            && self.probes.get(&Kind::Startup).is_none_or(|(_, probing)| probing.verdict() == Some(true))
    }

    pub(super) fn ready(&self) -> bool {
        self.started()
            && self.probes.get(&Kind::Readiness).is_none_or(|(_, probing)| probing.verdict() == Some(true))
    }
}

impl Member {
    /// A container that never ran here.
    pub(super) fn new(container: &Container, role: Role) -> Self {
        Self {
            container: Arc::new(container.clone()),
            role,
            state: State::waiting("ContainerCreating", None, Hold::Turn),
            last: None,
            restarts: 0,
            ladder: Ladder::default(),
            image_id: String::new(),
            container_id: String::new(),
        }
    }

    pub(super) fn run(&self) -> Option<&Run> {
        if let State::Running(run) = &self.state { Some(run) } else { None }
    }

    pub(super) fn run_mut(&mut self) -> Option<&mut Run> {
        if let State::Running(run) = &mut self.state { Some(run) } else { None }
    }

    pub(super) fn stand(&self, now: Instant) -> Stand {
        match &self.state {
            State::Waiting { hold, .. } => match (hold, &self.last) {
                // It ran before: its pod is not Pending again, whatever it waits for now.
                (Hold::Turn, Some(_)) => Stand::Due(now),
                (_, Some(_)) => Stand::Due(now + Duration::from_secs(3600)),
                (hold, None) => Stand::New { blocked: *hold != Hold::Turn },
            },
            State::Backing { until, .. } => Stand::Due(*until),
            State::Running(run) => Stand::Running { started: run.started() },
            State::Ended(ending) => Stand::Done(ending.code),
        }
    }

    pub(super) fn record(&self) -> ContainerRecord {
        let (running_since, last, done) = match &self.state {
            State::Running(run) => (Some(run.since), self.last.as_ref(), false),
            State::Backing { ending, .. } => (None, Some(ending), false),
            State::Ended(ending) => (None, Some(ending), true),
            State::Waiting { .. } => (None, self.last.as_ref(), false),
        };
        ContainerRecord {
            restarts: self.restarts,
            running_since,
            container_id: self.container_id.clone(),
            last: last.cloned(),
            done,
        }
    }

    /// How the container shows. `initialized`: whether its turn can have come.
    pub(super) fn view<'a>(&'a self, initialized: bool, backing: Option<&'a str>) -> ContainerView<'a> {
        let (state, last) = match &self.state {
            State::Waiting { reason, .. } if reason == "ContainerCreating" && !initialized => {
                (StateView::Waiting { reason: "PodInitializing", message: None }, self.last.as_ref())
            }
            State::Waiting { reason, message, .. } => {
                (StateView::Waiting { reason, message: message.as_deref() }, self.last.as_ref())
            }
            State::Backing { ending, .. } => match backing {
                Some(message) => {
                    (StateView::Waiting { reason: "CrashLoopBackOff", message: Some(message) }, Some(ending))
                }
                None => (StateView::Terminated(ending), self.last.as_ref()),
            },
            State::Running(run) => (StateView::Running { since: run.since }, self.last.as_ref()),
            State::Ended(ending) => (StateView::Terminated(ending), self.last.as_ref()),
        };
        ContainerView {
            name: &self.container.name,
            role: self.role,
            image: self.container.image.as_deref().unwrap_or_default(),
            image_id: &self.image_id,
            container_id: &self.container_id,
            restarts: self.restarts,
            state,
            last,
            started: self.run().is_some_and(Run::started),
            ready: self.run().is_some_and(Run::ready),
        }
    }
}

impl State {
    pub(super) fn waiting(reason: &str, message: Option<String>, hold: Hold) -> Self {
        Self::Waiting { reason: reason.to_owned(), message, hold }
    }
}
