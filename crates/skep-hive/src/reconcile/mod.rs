//! Runs the controllers: watches everything, looks at what changed, carries out what was decided.
//!
//! One task owns all of it. An object is looked at by one controller at a time; a change during a look makes another look
//! follow. Since controllers read the API's own memory and not a copy of it, a look always sees the last one's writes, and
//! nobody has to remember what it expects.

mod dispatch;
mod looks;
pub(crate) mod recorder;
mod timers;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, SelectAll};
use jiff::Timestamp;
use skep_apiserver::{Resources, Status, WatchEvent};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::timers::Timers;
pub(crate) use self::write::carry_out;
use crate::controllers::job::RetryDelay;
use crate::kind::{self, Kind};

/// Looks at once: enough for every service of an app, few enough to keep memory flat.
const CONCURRENT: usize = 32;

/// Looking for garbage takes one part of the time in so many, at the most: it is a look at everything there is, and each pod that comes or
/// goes asks for one.
const GARBAGE_SHARE: u32 = 10;

/// How long garbage may be left lying by that.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// A controller and the object that it should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Work {
    pub(crate) controller: Controller,
    /// "" for cluster-scoped objects.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    /// A PodDisruptionBudget.
    Disruption,
    /// What a ResourceQuota says is used.
    Quota,
    /// Endpoints of a Service.
    Service,
    Autoscaler,
    Namespace,
    Scheduler,
    Volume,
    Ingress,
    /// The finalizer of a pod whose Job is gone.
    OrphanedPod,
    /// All objects at once.
    Garbage,
}

/// What the controllers work with.
#[derive(Clone, Debug)]
pub struct Controllers {
    /// The API.
    pub resources: Resources,
    /// The one node's name.
    pub node: String,
    /// Directories of PersistentVolumeClaims: `<volumes>/<namespace>/<claim>`.
    pub volumes: PathBuf,
    /// How long a Job waits before its next try.
    pub retry: RetryDelay,
}

/// How long a look took, and what it led to: when to look again, if time alone decides.
type Outcome = (Work, Duration, Result<Option<Timestamp>, Status>);

/// The loop's own state.
struct Queue {
    dirty: BTreeSet<Work>,
    in_flight: BTreeSet<Work>,
    failures: BTreeMap<Work, u32>,
    timers: Timers,
    /// Until when garbage is left lying.
    rest: Option<Instant>,
}

impl Controllers {
    /// Runs until `shutdown`, then lets the looks in flight finish.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut events = watch_all(&self.resources);
        let mut queue = Queue {
            dirty: BTreeSet::from([Work::garbage()]),
            in_flight: BTreeSet::new(),
            failures: BTreeMap::new(),
            timers: Timers::default(),
            rest: None,
        };
        let mut looks: FuturesUnordered<BoxFuture<'_, Outcome>> = FuturesUnordered::new();
        loop {
            queue.dirty.extend(queue.timers.due(skep_ambient::now()));
            for work in queue.startable() {
                looks.push(Box::pin(self.look_at(work)));
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(outcome) = looks.next(), if !looks.is_empty() => queue.settle(outcome),
                Some((kind, event)) = events.next() => {
                    queue.dirty.extend(dispatch::concerned(&self.resources, kind, &event));
                }
                () = queue.timers.wait() => {}
                () = queue.rested() => {}
            }
        }
        while looks.next().await.is_some() {}
    }

    async fn look_at(&self, work: Work) -> Outcome {
        let began = Instant::now();
        let outcome = self.look(&work).await;
        (work, began.elapsed(), outcome)
    }
}

impl Queue {
    /// Waits until garbage that lies about may be looked at again; for ever if there is none.
    async fn rested(&self) {
        let garbage = Work::garbage();
        let lies_about = self.dirty.contains(&garbage) && !self.in_flight.contains(&garbage);
        match self.rest {
            Some(rest) if lies_about && self.in_flight.len() < CONCURRENT => {
                tokio::time::sleep_until(rest).await;
            }
            _ => std::future::pending().await,
        }
    }

    /// Takes the work that may begin now.
    fn startable(&mut self) -> Vec<Work> {
        let room = CONCURRENT.saturating_sub(self.in_flight.len());
        // One pod is placed after the other: two that are looked at together would both get the last room.
        let placing = |work: &Work| work.controller == Controller::Scheduler;
        let mut places = !self.in_flight.iter().any(placing);
        let is_resting = self.rest.is_some_and(|rest| Instant::now() < rest);
        let mut may_begin = |work: &&Work| {
            let waits =
                self.in_flight.contains(work) || (is_resting && work.controller == Controller::Garbage);
            !waits && (!placing(work) || std::mem::take(&mut places))
        };
        let ready: Vec<_> = self.dirty.iter().filter(|work| may_begin(work)).take(room).cloned().collect();
        for work in &ready {
            self.dirty.remove(work);
            self.in_flight.insert(work.clone());
        }
        ready
    }

    fn settle(&mut self, (work, took, outcome): Outcome) {
        self.in_flight.remove(&work);
        if work.controller == Controller::Garbage {
            let rest = (took * (GARBAGE_SHARE - 1)).min(LONGEST_REST);
            self.rest = Some(Instant::now() + rest);
        }
        match outcome {
            Ok(again) => {
                self.failures.remove(&work);
                if let Some(at) = again {
                    self.timers.set(work, at);
                }
            }
            // Somebody else wrote in between: what was decided is out of date, and worth deciding again at once.
            Err(status) if status.is_conflict() => {
                self.dirty.insert(work);
            }
            Err(status) => {
                let failures = self.failures.entry(work.clone()).or_default();
                *failures += 1;
                let delay = Duration::from_millis(50 << (*failures).min(10)).min(Duration::from_secs(30));
                tracing::warn!(?work, error = %status, ?delay, "a controller's write was refused");
                self.timers.set(work, skep_ambient::now() + delay);
            }
        }
    }
}

impl Work {
    pub(crate) fn new(controller: Controller, namespace: &str, name: &str) -> Self {
        Self { controller, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn garbage() -> Self {
        Self::new(Controller::Garbage, "", "")
    }
}

type Events = SelectAll<stream::BoxStream<'static, (Kind, WatchEvent)>>;

fn watch_all(resources: &Resources) -> Events {
    let one = |kind: &Kind| {
        let watch = resources.watch(*kind, None);
        let events = stream::unfold((watch, *kind), async |(mut watch, kind)| {
            watch.next().await.map(|event| ((kind, event), (watch, kind)))
        });
        events.boxed()
    };
    stream::select_all(kind::ALL.iter().map(one))
}

#[cfg(test)]
mod tests;
