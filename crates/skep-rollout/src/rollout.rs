//! One workload's rollout: what was seen before, and the verdict on what is seen now.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    diagnosis::{Cause, Diagnosis, LogWanted},
    pod::{self, Symptom},
    workload::{Counts, JobState, text},
};

/// A container that has ended this often in one rollout will not heal.
const CRASHES_THAT_FAIL: u32 = 3;
/// A pull that failed this often for a reason of the network will not succeed within anybody's patience.
const PULLS_THAT_FAIL: u32 = 3;

/// What there is to see of one workload at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The Deployment, StatefulSet, DaemonSet or Job; `None` when it is gone.
    pub workload: Option<&'a Value>,
    /// The ReplicaSets of the namespace.
    pub replica_sets: &'a [&'a Value],
    /// The pods of the namespace.
    pub pods: &'a [&'a Value],
}

/// The state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Moving, or waiting within what the policy allows.
    Progressing {
        /// New pods that are available.
        ready: u32,
        /// Pods wanted.
        wanted: u32,
        /// What it waits for, in a few words.
        waiting_for: String,
    },
    /// Every wanted pod is new and available, and the old ones are gone.
    Ready {
        /// Pods wanted, and there.
        wanted: u32,
    },
    /// It will not become ready.
    Failed(Diagnosis),
}

/// The memory of one workload's rollout.
#[derive(Debug, Clone)]
pub struct Rollout {
    no_progress: Duration,
    schema_exit_code: i64,
    last_progress: Timestamp,
    seen: Option<Mark>,
    past: Past,
    pulls: BTreeMap<(String, String), PullTries>,
}

/// What counts as progress when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    counts: Counts,
    pods_ready: usize,
    pods: usize,
}

/// What the containers of a namespace had behind them before a release was applied: crashes of that time are not its own.
#[derive(Debug, Clone, Default)]
pub struct Past {
    containers: BTreeMap<(String, String), Before>,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Before {
    starts: u32,
    ready: bool,
}

impl Past {
    /// Reads it off the pods.
    pub fn of_pods<'a>(pods: impl IntoIterator<Item = &'a Value>) -> Self {
        let containers = pods.into_iter().flat_map(|pod| {
            let (name, ready) = (text(&pod["metadata"], "name"), pod::is_ready(pod));
            pod::starts(pod)
                .into_iter()
                .map(move |(container, starts)| ((name.clone(), container), Before { starts, ready }))
        });
        Self { containers: containers.collect(), until: None }
    }

    /// What these pods' containers began up to `moment`, by the cluster's clock, is past too. A kubelet tells of a start a second
    /// or more after it, so what the pods said at that moment is not all that had happened.
    #[must_use]
    pub fn until(self, moment: Option<Timestamp>) -> Self {
        Self { until: moment, ..self }
    }

    fn of(&self, pod: &str, container: &str) -> Before {
        self.containers.get(&(pod.to_owned(), container.to_owned())).copied().unwrap_or_default()
    }

    /// Whether a container's crash number `crashes`, of a run that began at `began`, belongs to it.
    fn holds(&self, before: Before, crashes: u32, began: Option<Timestamp>) -> bool {
        let earlier = began.zip(self.until).is_some_and(|(began, until)| began <= until);
        crashes <= before.starts || (before.starts > 0 && earlier)
    }
}

#[derive(Debug, Clone, Default)]
struct PullTries {
    tries: u32,
    in_failure: bool,
}

impl Rollout {
    /// A rollout that begins at `now`. `no_progress` is how long nothing may move; `past` is what the pods had behind them before
    /// anything was written.
    pub fn new(no_progress: Duration, schema_exit_code: i64, past: Past, now: Timestamp) -> Self {
        Self { no_progress, schema_exit_code, last_progress: now, seen: None, past, pulls: BTreeMap::new() }
    }

    /// Judges what is seen now.
    pub fn step(&mut self, observed: Observed<'_>, now: Timestamp) -> Verdict {
        let Some(workload) = observed.workload else {
            return Verdict::Failed(Diagnosis {
                pod: None,
                container: None,
                cause: Cause::Deleted,
                log: None,
            });
        };
        if workload["kind"] == "Job" {
            return job_verdict(workload, &new_pods(workload, observed));
        }
        let Some(counts) = Counts::read(workload) else {
            return self.patient(
                Counts::default(),
                "counts of it, which its kind does not have".to_owned(),
                now,
            );
        };
        if !counts.current {
            return self.patient(counts, "the controller to see the change".to_owned(), now);
        }
        if counts.done() {
            return Verdict::Ready { wanted: counts.wanted };
        }
        let pods = new_pods(workload, observed);
        self.note_progress(counts, &pods, now);
        if let Some(diagnosis) = self.failure(&pods) {
            return Verdict::Failed(diagnosis);
        }
        let waiting_for = waiting_for(&counts, &pods);
        self.patient(counts, waiting_for, now)
    }

    /// When, with no further event, the verdict would change: the caller's timer.
    pub fn deadline(&self) -> Timestamp {
        self.last_progress.saturating_add(self.no_progress).unwrap_or(Timestamp::MAX)
    }

    fn patient(&self, counts: Counts, waiting_for: String, now: Timestamp) -> Verdict {
        if now >= self.deadline() {
            let seconds = now.duration_since(self.last_progress).as_secs();
            let cause = Cause::NoProgress { seconds, waiting_for };
            return Verdict::Failed(Diagnosis {
                pod: None,
                container: None,
                cause,
                log: Some(LogWanted::Current),
            });
        }
        Verdict::Progressing { ready: counts.available, wanted: counts.wanted, waiting_for }
    }

    fn note_progress(&mut self, counts: Counts, pods: &[&Value], now: Timestamp) {
        let mark = Mark {
            counts,
            pods_ready: pods.iter().filter(|pod| pod::is_ready(pod)).count(),
            pods: pods.len(),
        };
        if self.seen.as_ref() != Some(&mark) {
            self.seen = Some(mark);
            self.last_progress = now;
        }
    }

    fn failure(&mut self, pods: &[&Value]) -> Option<Diagnosis> {
        pods.iter().filter(|pod| !pod::is_leaving(pod)).find_map(|pod| {
            let name = text(&pod["metadata"], "name");
            pod::symptoms(pod).into_iter().find_map(|symptom| self.count(&name, symptom))
        })
    }

    fn count(&mut self, pod: &str, symptom: Symptom) -> Option<Diagnosis> {
        let at = |container: &str| (pod.to_owned(), container.to_owned());
        match symptom {
            Symptom::Final(diagnosis) => Some(diagnosis),
            Symptom::PullFailed { container, image, message, fresh } => {
                let tries = self.pulls.entry(at(&container)).or_default();
                if fresh && !tries.in_failure {
                    tries.tries += 1;
                }
                tries.in_failure = fresh;
                let tries = tries.tries;
                (tries >= PULLS_THAT_FAIL).then(|| Diagnosis {
                    pod: Some(pod.to_owned()),
                    container: Some(container),
                    cause: Cause::RegistryUnreachable { image, message, tries },
                    log: None,
                })
            }
            Symptom::Crashed { container, crashes, began, exit_code, reason, log } => {
                let before = self.past.of(pod, &container);
                let ours = if before.ready { crashes.saturating_sub(before.starts - 1) } else { crashes };
                // What started before this rollout has met another schema, or another outage: only a new start proves anything.
                let is_new = !self.past.holds(before, crashes, began);
                let cause = if is_new && exit_code == self.schema_exit_code {
                    Cause::SchemaRefused { exit_code }
                } else if (is_new || before.ready) && ours >= CRASHES_THAT_FAIL {
                    Cause::CrashLoop { crashes: ours, exit_code, reason }
                } else {
                    return None;
                };
                Some(Diagnosis {
                    pod: Some(pod.to_owned()),
                    container: Some(container),
                    cause,
                    log: Some(log),
                })
            }
        }
    }
}

/// The pods of the newest template: those of the newest ReplicaSet, revision or generation.
fn new_pods<'a>(workload: &Value, observed: Observed<'a>) -> Vec<&'a Value> {
    let uid = &workload["metadata"]["uid"];
    let owned_by = |object: &Value, uid: &Value| {
        object["metadata"]["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|owner| &owner["uid"] == uid)
    };
    match workload["kind"].as_str() {
        Some("Deployment") => {
            let newest = observed
                .replica_sets
                .iter()
                .filter(|set| owned_by(set, uid))
                .max_by_key(|set| revision(set))
                .map(|set| &set["metadata"]["uid"]);
            let Some(newest) = newest else { return Vec::new() };
            observed.pods.iter().copied().filter(|pod| owned_by(pod, newest)).collect()
        }
        Some("StatefulSet") => {
            let revision = &workload["status"]["updateRevision"];
            let of_revision =
                |pod: &&Value| &pod["metadata"]["labels"]["controller-revision-hash"] == revision;
            observed.pods.iter().copied().filter(|pod| owned_by(pod, uid)).filter(of_revision).collect()
        }
        _ => observed.pods.iter().copied().filter(|pod| owned_by(pod, uid)).collect(),
    }
}

fn revision(set: &Value) -> u64 {
    set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        .as_str()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

fn waiting_for(counts: &Counts, pods: &[&Value]) -> String {
    if let Some(pod) = pods.iter().find(|pod| !pod::is_ready(pod) && !pod::is_leaving(pod)) {
        return pod::waits_for(pod);
    }
    if counts.updated < counts.wanted {
        return format!("{} more new pods", counts.wanted - counts.updated);
    }
    match counts.old {
        0 => "new pods to be available".to_owned(),
        1 => "1 old pod to end".to_owned(),
        old => format!("{old} old pods to end"),
    }
}

fn job_verdict(job: &Value, pods: &[&Value]) -> Verdict {
    match JobState::read(job) {
        JobState::Complete => Verdict::Ready { wanted: 1 },
        JobState::Running => {
            let waiting_for = pods.first().map_or_else(|| "its pod".to_owned(), |pod| pod::waits_for(pod));
            Verdict::Progressing { ready: 0, wanted: 1, waiting_for }
        }
        JobState::Failed { reason, message } => {
            let pod = pods.last().map(|pod| text(&pod["metadata"], "name"));
            let log = pod.is_some().then_some(LogWanted::Current);
            Verdict::Failed(Diagnosis {
                pod,
                container: None,
                cause: Cause::JobFailed { reason, message },
                log,
            })
        }
    }
}
