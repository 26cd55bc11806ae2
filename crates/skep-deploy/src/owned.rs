//! Whose pods are whose, by owner references.

use serde_json::Value;
use skep_cluster::Snapshot;
use skep_rollout::Around;

/// What workloads are judged by.
pub(crate) fn around(seen: &Snapshot) -> Around<'_> {
    Around::new(&seen.all("ReplicaSet"), &seen.all("Pod"), &seen.all("Event"))
}

/// Of these objects, those that another one owns.
pub(crate) fn owned_by<'a>(owner: &Value, objects: &[&'a Value]) -> Vec<&'a Value> {
    let uid = &owner["metadata"]["uid"];
    let is_owned = |object: &&&Value| {
        object["metadata"]["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|reference| &reference["uid"] == uid)
    };
    objects.iter().filter(is_owned).copied().collect()
}

/// A service's pods: its own, or those of its ReplicaSets, old ones included; the oldest first.
pub(crate) fn pods_of<'a>(service: &Value, sets: &[&Value], pods: &[&'a Value]) -> Vec<&'a Value> {
    let mut found = owned_by(service, pods);
    found.extend(owned_by(service, sets).iter().flat_map(|set| owned_by(set, pods)));
    found.sort_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str());
    found
}
