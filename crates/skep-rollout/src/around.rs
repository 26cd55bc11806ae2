//! What is around workloads: the ReplicaSets, pods and Events of their namespace, to be found without looking at all of them. A release
//! may have a thousand pods, and each change of one is judged.

use std::collections::HashMap;

use serde_json::Value;

use crate::Events;

/// The ReplicaSets, pods and Events of a namespace.
#[derive(Debug, Clone, Default)]
pub struct Around<'a> {
    replica_sets: Owned<'a>,
    pods: Owned<'a>,
    /// What the Events tell.
    pub events: Events<'a>,
}

impl<'a> Around<'a> {
    /// Sorts them.
    pub fn new(replica_sets: &[&'a Value], pods: &[&'a Value], events: &[&'a Value]) -> Self {
        Self { replica_sets: Owned::new(replica_sets), pods: Owned::new(pods), events: Events::new(events) }
    }

    /// The pods that an object owns.
    pub(crate) fn pods_of(&self, owner: &Value) -> &[&'a Value] {
        self.pods.of(owner)
    }

    /// The ReplicaSets that an object owns.
    pub(crate) fn replica_sets_of(&self, owner: &Value) -> &[&'a Value] {
        self.replica_sets.of(owner)
    }
}

/// Objects by the uid of each of their owners.
#[derive(Debug, Clone, Default)]
struct Owned<'a>(HashMap<&'a str, Vec<&'a Value>>);

impl<'a> Owned<'a> {
    fn new(objects: &[&'a Value]) -> Self {
        let mut by_owner: HashMap<&str, Vec<&Value>> = HashMap::new();
        for object in objects {
            let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            for uid in owners.filter_map(|owner| owner["uid"].as_str()) {
                by_owner.entry(uid).or_default().push(object);
            }
        }
        Self(by_owner)
    }

    fn of(&self, owner: &Value) -> &[&'a Value] {
        let uid = owner["metadata"]["uid"].as_str();
        uid.and_then(|uid| self.0.get(uid)).map_or(&[], Vec::as_slice)
    }
}
