//! What a controller reports of its workload: counts, read from one object, and whether they are of this generation.

use serde_json::Value;

/// The counts of a workload, whatever its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Pods wanted.
    pub wanted: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Pods of the newest template that are available.
    pub available: u32,
    /// Pods of older templates that are still there.
    pub old: u32,
    /// Those of `old` that stay: the update strategy is OnDelete, or they are below its partition.
    pub kept: u32,
    /// Whether the controller has seen the latest spec; until then the counts are of the rollout before.
    pub current: bool,
}

impl Counts {
    /// Reads a Deployment, StatefulSet, DaemonSet or ReplicaSet; `None` for other kinds.
    ///
    /// The rules are those of `kubectl rollout status`: a status whose `observedGeneration` is behind says nothing.
    pub fn read(object: &Value) -> Option<Self> {
        let spec = |path: &str| number(object, &format!("/spec/{path}"));
        let status = |path: &str| number(object, &format!("/status/{path}")).unwrap_or(0);
        let generation = number(object, "/metadata/generation").unwrap_or(0);
        let current = status("observedGeneration") >= generation;
        let counts = match object.get("kind").and_then(Value::as_str)? {
            "Deployment" => {
                let updated = status("updatedReplicas");
                Self {
                    wanted: spec("replicas").unwrap_or(1),
                    updated,
                    available: status("availableReplicas").min(updated),
                    old: status("replicas").saturating_sub(updated),
                    kept: 0,
                    current,
                }
            }
            "StatefulSet" => {
                let wanted = spec("replicas").unwrap_or(1);
                let replaced = match is_on_delete(object) {
                    true => 0,
                    false => {
                        wanted.saturating_sub(spec("updateStrategy/rollingUpdate/partition").unwrap_or(0))
                    }
                };
                let settled =
                    object.pointer("/status/updateRevision") == object.pointer("/status/currentRevision");
                let updated = if settled { status("replicas") } else { status("updatedReplicas") };
                let available =
                    number(object, "/status/availableReplicas").unwrap_or_else(|| status("readyReplicas"));
                let old = status("replicas").saturating_sub(updated);
                let kept = old.min(wanted.saturating_sub(replaced));
                Self { wanted, updated, available: available.min(updated + kept), old, kept, current }
            }
            "DaemonSet" => {
                let wanted = status("desiredNumberScheduled");
                let updated = status("updatedNumberScheduled");
                let old = status("currentNumberScheduled").saturating_sub(updated);
                let kept = if is_on_delete(object) { old } else { 0 };
                Self {
                    wanted,
                    updated,
                    available: status("numberAvailable").min(updated + kept),
                    old,
                    kept,
                    current,
                }
            }
            _ => return None,
        };
        Some(counts)
    }

    /// Every wanted pod is there and available, and new unless the update strategy keeps it.
    pub fn done(&self) -> bool {
        self.current
            && self.updated + self.kept >= self.wanted
            && self.available >= self.wanted
            && self.old == self.kept
    }
}

fn is_on_delete(workload: &Value) -> bool {
    workload.pointer("/spec/updateStrategy/type").is_some_and(|kind| kind == "OnDelete")
}

/// A Job's end, from its conditions. Counts are not enough: a pod may fail and be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// No condition says otherwise.
    Running,
    /// `Complete`.
    Complete,
    /// `Failed`.
    Failed {
        /// The condition's reason.
        reason: String,
        /// Its message.
        message: String,
    },
}

impl JobState {
    /// Reads a Job.
    pub fn read(job: &Value) -> Self {
        match (condition(job, "Complete"), condition(job, "Failed")) {
            (Some(complete), _) if is_true(complete) => Self::Complete,
            (_, Some(failed)) if is_true(failed) => {
                Self::Failed { reason: text(failed, "reason"), message: text(failed, "message") }
            }
            _ => Self::Running,
        }
    }
}

/// The condition of that type, if the object has one.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

pub(crate) fn is_true(condition: &Value) -> bool {
    condition["status"] == "True"
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(object: &Value, path: &str) -> Option<u32> {
    object.pointer(path)?.as_u64().and_then(|n| u32::try_from(n).ok())
}
