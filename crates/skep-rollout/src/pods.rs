//! Which pods are a workload's.

use serde_json::Value;

use crate::Observed;

/// A workload's pods: those of the newest template (the newest ReplicaSet, revision or generation), and the others.
pub(crate) struct Pods<'a> {
    pub(crate) new: Vec<&'a Value>,
    pub(crate) old: Vec<&'a Value>,
    /// The ReplicaSet that a Deployment wants now; `None` until it shows.
    pub(crate) set: Option<&'a Value>,
}

impl<'a> Pods<'a> {
    pub(crate) fn of(workload: &Value, observed: Observed<'a>) -> Self {
        let around = observed.around;
        let mine = || around.pods_of(workload).iter().copied();
        match workload["kind"].as_str() {
            Some("Deployment") => {
                let sets = around.replica_sets_of(workload);
                let set = sets
                    .iter()
                    .copied()
                    .filter(|set| has_template_of(set, workload))
                    .max_by_key(|set| revision(set));
                let pods_of = |set: &Value| around.pods_of(set).to_vec();
                let others =
                    sets.iter().copied().filter(|one| !set.is_some_and(|set| std::ptr::eq(set, *one)));
                Self {
                    new: set.map(pods_of).unwrap_or_default(),
                    old: others.flat_map(pods_of).collect(),
                    set,
                }
            }
            Some("StatefulSet") => {
                let revision = &workload["status"]["updateRevision"];
                let is_new =
                    |pod: &&Value| &pod["metadata"]["labels"]["controller-revision-hash"] == revision;
                let (new, old) = mine().partition(is_new);
                Self { new, old, set: None }
            }
            Some("DaemonSet") => {
                // Its pods carry a hash that only its ControllerRevisions name, and the number of its template.
                let number = |pod: &Value| pod["metadata"]["labels"]["pod-template-generation"].clone();
                let newest = &workload["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
                let is_new = |pod: &&Value| newest.is_null() || number(pod) == *newest;
                let (new, old) = mine().partition(is_new);
                Self { new, old, set: None }
            }
            _ => Self { new: mine().collect(), old: Vec::new(), set: None },
        }
    }
}

/// Whether a ReplicaSet makes the pods that its Deployment wants now: Kubernetes' own rule. The newest revision that is seen may be that of
/// another template, because each kind has a watch of its own: one that goes back to an old ReplicaSet shows before it does.
fn has_template_of(set: &Value, deployment: &Value) -> bool {
    let (one, other) = (&set["spec"]["template"], &deployment["spec"]["template"]);
    one["spec"] == other["spec"]
        && one["metadata"]["annotations"] == other["metadata"]["annotations"]
        && labels(one) == labels(other)
}

fn labels(template: &Value) -> Vec<(&String, &Value)> {
    let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter(|(name, _)| *name != "pod-template-hash").collect()
}

fn revision(set: &Value) -> u64 {
    set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        .as_str()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
