//! roll: every workload of the release is awaited, changed or not, from one live view and a pure verdict each.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use skep_cluster::{LogQuery, Route, Selector, Snapshot};
use skep_model::{Event, ObjectKey, Outcome, Step, WorkloadState};
use skep_rollout::{Cause, Diagnosis, LogWanted, Observed, Past, Rollout, Verdict, pod};

use super::Clock;
use crate::{
    App, Failure, Plan,
    error::{FailedWorkload, InStep, Problem},
    session::Session,
};

/// How often the lock is looked at while nothing moves.
const LOOK_UP: Duration = Duration::from_secs(2);
/// How many lines of a crashed container are shown.
const TAIL: u32 = 15;
/// How many of the cluster's complaints are.
const COMPLAINTS: usize = 6;

pub(crate) async fn roll(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    session.clock.start(Step::Roll);
    let workloads: Vec<&Value> = plan.desired.workloads().collect();
    let rolled = await_ready(app, Some(session), Step::Roll, &workloads).await;
    session.clock.settle(Step::Roll, rolled, |()| summary(workloads.len()))
}

/// The same where nothing was changed and no lock is held: pods may be coming back from elsewhere.
pub(crate) async fn settle(app: &App, plan: &Plan, clock: &mut Clock) -> Result<(), Failure> {
    clock.start(Step::Roll);
    let workloads: Vec<&Value> = plan.desired.workloads().collect();
    let settled = await_ready(app, None, Step::Roll, &workloads).await;
    clock.settle(Step::Roll, settled, |()| summary(workloads.len()))
}

pub(crate) fn summary(services: usize) -> (Outcome, String) {
    match services {
        1 => (Outcome::Done, "1 service ready".to_owned()),
        all => (Outcome::Done, format!("{all} services ready")),
    }
}

/// Waits until each is ready, or until one has failed.
pub(crate) async fn await_ready(
    app: &App,
    session: Option<&Session>,
    step: Step,
    workloads: &[&Value],
) -> Result<(), Failure> {
    let mut view = app.cluster.view(app.namespace());
    let seen = view.changed().await.in_step(step)?;
    let past = session.map_or_else(|| Past::of_pods(seen.all("Pod")), |session| session.past.clone());
    let mut waiting = Waiting::new(app, &past, workloads);
    loop {
        session.map_or(Ok(()), |session| session.may_write(step))?;
        let failed = waiting.judge(app, view.latest());
        if !failed.is_empty() {
            return Err(Failure::at(step, Problem::Rollout(with_logs(app, failed).await)));
        }
        if waiting.is_over() {
            return Ok(());
        }
        let next = waiting.next_deadline().min(LOOK_UP);
        tokio::select! {
            changed = view.changed() => { changed.in_step(step)?; }
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// The workloads that are not ready yet.
struct Waiting {
    since: Instant,
    rollouts: BTreeMap<ObjectKey, (Rollout, Option<WorkloadState>)>,
}

impl Waiting {
    fn new(app: &App, past: &Past, workloads: &[&Value]) -> Self {
        let now = Timestamp::now();
        let new = |key| (key, (Rollout::new(app.patience(), app.schema_exit_code, past.clone(), now), None));
        Self {
            since: Instant::now(),
            rollouts: workloads.iter().filter_map(|object| ObjectKey::of(object)).map(new).collect(),
        }
    }

    /// Judges all, tells what is new, forgets what is ready, and returns what has failed.
    fn judge(&mut self, app: &App, seen: &Snapshot) -> Vec<(ObjectKey, Diagnosis)> {
        let (sets, pods) = (seen.all("ReplicaSet"), seen.all("Pod"));
        let now = Timestamp::now();
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut failed = Vec::new();
        self.rollouts.retain(|key, (rollout, said)| {
            let observed =
                Observed { workload: seen.get(&key.kind, &key.name), replica_sets: &sets, pods: &pods };
            let verdict = rollout.step(observed, now);
            let state = match &verdict {
                Verdict::Progressing { ready, wanted, waiting_for } => WorkloadState::Progressing {
                    ready: *ready,
                    wanted: *wanted,
                    waiting_for: waiting_for.clone(),
                },
                Verdict::Ready { wanted } => WorkloadState::Ready { wanted: *wanted, millis },
                Verdict::Failed(diagnosis) => WorkloadState::Failed { cause: diagnosis.to_string() },
            };
            if said.as_ref() != Some(&state) {
                app.emit.emit(Event::Workload { object: key.clone(), state: state.clone() });
                *said = Some(state);
            }
            match verdict {
                Verdict::Ready { .. } => false,
                Verdict::Progressing { .. } => true,
                Verdict::Failed(diagnosis) => {
                    failed.push((key.clone(), diagnosis));
                    true
                }
            }
        });
        failed
    }

    fn is_over(&self) -> bool {
        self.rollouts.is_empty()
    }

    fn next_deadline(&self) -> Duration {
        let soonest = self.rollouts.values().map(|(rollout, _)| rollout.deadline()).min();
        let left = soonest.map(|at| at.duration_since(Timestamp::now()));
        let left: Duration = left.and_then(|left| left.try_into().ok()).unwrap_or_default();
        left.max(Duration::from_millis(100))
    }
}

async fn with_logs(app: &App, failed: Vec<(ObjectKey, Diagnosis)>) -> Vec<FailedWorkload> {
    let mut all = Vec::new();
    for (key, diagnosis) in failed {
        let log = match diagnosis.cause {
            Cause::NoProgress { .. } => complaints(app, &key).await,
            _ => last_lines(app, &diagnosis).await,
        };
        all.push(FailedWorkload { workload: key.to_string(), diagnosis, log });
    }
    all
}

/// What the cluster has complained of about a workload's pods: a probe's own error says more than "not ready".
async fn complaints(app: &App, workload: &ObjectKey) -> Vec<String> {
    let Some(route) = Route::built_in("v1", "Event") else { return Vec::new() };
    let selector = Selector { labels: None, fields: Some("involvedObject.kind=Pod".to_owned()) };
    let Ok(events) = app.cluster.list(&route, Some(app.namespace()), &selector).await else {
        return Vec::new();
    };
    let of_the_workload = |event: &&Value| {
        let pod = event["involvedObject"]["name"].as_str().unwrap_or_default();
        event["type"] == "Warning"
            && pod.strip_prefix(&workload.name).is_some_and(|rest| rest.starts_with('-'))
    };
    let mut lines: Vec<String> = Vec::new();
    for event in events.iter().filter(of_the_workload) {
        let line = format!(
            "{} ({} times): {}",
            event["reason"].as_str().unwrap_or_default(),
            event["count"].as_u64().unwrap_or(1),
            event["message"].as_str().unwrap_or_default(),
        );
        lines.push(line);
    }
    let surplus = lines.len().saturating_sub(COMPLAINTS);
    lines.split_off(surplus)
}

/// The end of the log that the diagnosis names. The runtime may have let go of a crashed container: then there is none.
async fn last_lines(app: &App, diagnosis: &Diagnosis) -> Vec<String> {
    let (Some(pod), Some(wanted)) = (&diagnosis.pod, diagnosis.log) else {
        return Vec::new();
    };
    let query = LogQuery {
        namespace: app.namespace().to_owned(),
        pod: pod.clone(),
        container: diagnosis.container.clone(),
        tail: Some(TAIL),
        previous: wanted == LogWanted::Previous,
        follow: false,
    };
    match app.cluster.log_lines(&query).await {
        Ok(lines) => lines.filter_map(|line| async { line.ok() }).collect().await,
        Err(_) => Vec::new(),
    }
}

/// The pods that an object owns.
pub(crate) fn pods_of<'a>(owner: &Value, pods: &[&'a Value]) -> Vec<&'a Value> {
    let uid = &owner["metadata"]["uid"];
    let owned = |pod: &&&Value| {
        pod["metadata"]["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|reference| &reference["uid"] == uid)
    };
    pods.iter().filter(owned).copied().collect()
}

/// The first thing in these pods that no waiting will heal.
pub(crate) fn final_symptom(pods: &[&Value]) -> Option<Diagnosis> {
    pods.iter().flat_map(|pod| pod::symptoms(pod)).find_map(|symptom| match symptom {
        pod::Symptom::Final(diagnosis) => Some(diagnosis),
        pod::Symptom::PullFailed { .. } | pod::Symptom::Crashed { .. } => None,
    })
}
