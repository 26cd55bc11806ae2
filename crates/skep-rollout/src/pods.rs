//! Which pods are a workload's.

use serde_json::Value;

use crate::Observed;

/// A workload's pods: those of the newest template (the newest ReplicaSet, revision or generation), and the others.
pub(crate) struct Pods<'a> {
    pub(crate) new: Vec<&'a Value>,
    pub(crate) old: Vec<&'a Value>,
    /// The newest ReplicaSet of a Deployment.
    pub(crate) set: Option<&'a Value>,
}

impl<'a> Pods<'a> {
    pub(crate) fn of(workload: &Value, observed: Observed<'a>) -> Self {
        let uid = &workload["metadata"]["uid"];
        let owned_by = |object: &Value, uid: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            owners.into_iter().any(|owner| &owner["uid"] == uid)
        };
        let pods = observed.pods.iter().copied();
        match workload["kind"].as_str() {
            Some("Deployment") => {
                let sets = || observed.replica_sets.iter().copied().filter(|set| owned_by(set, uid));
                let set = sets().max_by_key(|set| revision(set));
                let mine: Vec<&Value> =
                    pods.filter(|pod| sets().any(|set| owned_by(pod, &set["metadata"]["uid"]))).collect();
                let is_new = |pod: &&Value| set.is_some_and(|set| owned_by(pod, &set["metadata"]["uid"]));
                let (new, old) = mine.into_iter().partition(is_new);
                Self { new, old, set }
            }
            Some("StatefulSet") => {
                let revision = &workload["status"]["updateRevision"];
                let is_new =
                    |pod: &&Value| &pod["metadata"]["labels"]["controller-revision-hash"] == revision;
                let (new, old) = pods.filter(|pod| owned_by(pod, uid)).partition(is_new);
                Self { new, old, set: None }
            }
            Some("DaemonSet") => {
                // Its pods carry a hash that only its ControllerRevisions name: the newest pod's is the newest.
                let mine: Vec<&Value> = pods.filter(|pod| owned_by(pod, uid)).collect();
                let hash = |pod: &Value| pod["metadata"]["labels"]["pod-template-generation"].clone();
                let generation =
                    &workload["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
                let is_new = |pod: &&Value| generation.is_null() || hash(pod) == *generation;
                let (new, old) = mine.into_iter().partition(is_new);
                Self { new, old, set: None }
            }
            _ => Self { new: pods.filter(|pod| owned_by(pod, uid)).collect(), old: Vec::new(), set: None },
        }
    }
}

fn revision(set: &Value) -> u64 {
    set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        .as_str()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
