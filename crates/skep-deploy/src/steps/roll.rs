//! roll: every workload of the release is awaited, changed or not, from one live view and a pure verdict each.

use std::{collections::BTreeMap, time::Instant};

use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use skep_cluster::{LogQuery, Snapshot};
use skep_model::{Event, ObjectKey, Outcome, Step, WorkloadState};
use skep_rollout::{Diagnosis, LogWanted, Observed, Rollout, Verdict, pod};

use crate::{
    App, Failure, Plan,
    error::{FailedWorkload, InStep, Problem},
    session::Session,
};

/// How many lines of a crashed container are shown.
const TAIL: u32 = 15;

pub(crate) async fn roll(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    session.clock.start(Step::Roll);
    let workloads: Vec<&Value> = plan.desired.workloads().collect();
    let rolled = await_ready(app, session, Step::Roll, &workloads).await;
    session
        .clock
        .settle(Step::Roll, rolled, |()| (Outcome::Done, format!("{} services ready", workloads.len())))
}

/// Waits until each is ready, or until one has failed.
pub(crate) async fn await_ready(
    app: &App,
    session: &Session,
    step: Step,
    workloads: &[&Value],
) -> Result<(), Failure> {
    let mut waiting = Waiting::new(app, session, workloads);
    let mut view = app.cluster.view(app.namespace());
    view.changed().await.in_step(step)?;
    loop {
        session.may_write(step)?;
        let failed = waiting.judge(app, view.latest());
        if !failed.is_empty() {
            return Err(Failure::at(step, Problem::Rollout(with_logs(app, failed).await)));
        }
        if waiting.is_over() {
            return Ok(());
        }
        let next = waiting.next_deadline();
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
    fn new(app: &App, session: &Session, workloads: &[&Value]) -> Self {
        let now = Timestamp::now();
        let new = |key| {
            (key, (Rollout::new(app.patience(), app.schema_exit_code, session.past.clone(), now), None))
        };
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

    fn next_deadline(&self) -> std::time::Duration {
        let soonest = self.rollouts.values().map(|(rollout, _)| rollout.deadline()).min();
        let left = soonest.map(|at| at.duration_since(Timestamp::now()));
        let left: std::time::Duration = left.and_then(|left| left.try_into().ok()).unwrap_or_default();
        left.max(std::time::Duration::from_millis(100))
    }
}

async fn with_logs(app: &App, failed: Vec<(ObjectKey, Diagnosis)>) -> Vec<FailedWorkload> {
    let mut all = Vec::new();
    for (key, diagnosis) in failed {
        let log = last_lines(app, &diagnosis).await;
        all.push(FailedWorkload { workload: key.to_string(), diagnosis, log });
    }
    all
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
