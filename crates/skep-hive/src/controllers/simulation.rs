//! A world for controller tests: objects in a list, actions applied at once, time moved by hand.
//!
//! It knows just enough of the API (names, UIDs, generation, merge patches) for controllers to run against each other, so
//! that invariants can be checked after every single write.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::action::{Action, Step};
use crate::controllers::{daemonset, deployment, replicaset, statefulset};
use crate::object;

pub(crate) struct World {
    pub(crate) objects: Vec<Arc<Value>>,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<String>,
    /// Pods whose template has this image never become ready.
    pub(crate) broken_image: Option<&'static str>,
    /// Those of the one node.
    pub(crate) taints: Value,
    uids: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            objects: Vec::new(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            events: Vec::new(),
            broken_image: None,
            taints: Value::Null,
            uids: 0,
        }
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<Arc<Value>> {
        self.objects.iter().filter(|one| one["kind"] == kind).cloned().collect()
    }

    pub(crate) fn one(&self, kind: &str) -> Arc<Value> {
        self.all(kind).into_iter().next().expect("an object of the kind")
    }

    pub(crate) fn edit(&mut self, kind: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let found = self.objects.iter_mut().find(|one| one["kind"] == kind && object::name(one) == name);
        let object = Arc::make_mut(found.expect("the object"));
        let before = object["spec"].clone();
        edit(object);
        if object["spec"] != before {
            let generation = object::integer(object, "/metadata/generation").unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
    }

    pub(crate) fn create(&mut self, mut object: Value) {
        self.uids += 1;
        let uid = format!("uid-{}", self.uids);
        let metadata = &mut object["metadata"];
        if metadata["name"].is_null() {
            metadata["name"] = json!(format!("{}{}", metadata["generateName"].as_str().unwrap(), self.uids));
        }
        metadata["uid"] = json!(uid);
        metadata["generation"] = json!(1);
        metadata["creationTimestamp"] = object::stamp(self.now);
        if object["kind"] == "Pod" {
            object["status"] = json!({"phase": "Pending"});
        }
        self.objects.push(Arc::new(object));
    }

    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Create(object) => self.create(object),
            Action::Patch { target, patch } => {
                self.edit(target.kind.name(), &target.name, |one| merge(one, &patch));
            }
            Action::Status(new) => {
                let kind = object::text(&new, "/kind").to_owned();
                let name = object::name(&new).to_owned();
                self.edit(&kind, &name, |one| one["status"] = new["status"].clone());
            }
            Action::Delete { target, .. } => self.objects.retain(|one| object::uid(one) != target.uid),
            Action::FinalizeNamespace(name) => {
                self.objects.retain(|one| one["kind"] != "Namespace" || object::name(one) != name);
            }
            Action::Event { reason, message, .. } => self.events.push(format!("{reason}: {message}")),
        }
    }

    /// Applies a step; `check` sees the world after each write.
    pub(crate) fn run(&mut self, step: Step, check: &mut dyn FnMut(&Self)) -> bool {
        let acted = step.actions.iter().any(|action| !matches!(action, Action::Event { .. }));
        for action in step.actions {
            self.apply(action);
            check(self);
        }
        acted
    }

    /// One look of every workload, without any pod becoming ready.
    pub(crate) fn control(&mut self, check: &mut dyn FnMut(&Self)) -> bool {
        let mut acted = false;
        for deployment in self.all("Deployment") {
            let step = deployment::step(&deployment, &self.all("ReplicaSet"), &self.all("Pod"), self.now);
            acted |= self.run(step, check);
        }
        for set in self.all("ReplicaSet") {
            let step = replicaset::step(&set, &self.all("Pod"), self.now);
            acted |= self.run(step, check);
        }
        for set in self.all("StatefulSet") {
            let (pods, claims) = (self.all("Pod"), self.all("PersistentVolumeClaim"));
            let revisions = self.all("ControllerRevision");
            let around = statefulset::Around { pods: &pods, claims: &claims, revisions: &revisions };
            let step = statefulset::step(&set, &around, self.now);
            acted |= self.run(step, check);
        }
        for set in self.all("DaemonSet") {
            let node = json!({"metadata": {"name": "n"}, "spec": {"taints": self.taints}});
            let step =
                daemonset::step(&set, &self.all("Pod"), &self.all("ControllerRevision"), &node, self.now);
            acted |= self.run(step, check);
        }
        acted
    }

    /// Lets one pending pod become ready. Returns whether there was one.
    pub(crate) fn ready_one(&mut self) -> bool {
        let broken = self.broken_image;
        let pending = self.all("Pod").into_iter().find(|pod| {
            pod["status"]["phase"] == "Pending" && pod["spec"]["containers"][0]["image"].as_str() != broken
        });
        let Some(pod) = pending else { return false };
        let now = object::stamp(self.now);
        self.edit("Pod", object::name(&pod), |pod| {
            pod["spec"]["nodeName"] = json!("n");
            pod["status"] = json!({"phase": "Running",
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}]});
        });
        true
    }

    /// Runs controllers and pods until nothing moves any more.
    pub(crate) fn settle(&mut self, check: &mut dyn FnMut(&Self)) {
        for _ in 0..2000 {
            let acted = self.control(check);
            if !acted && !self.ready_one() {
                return;
            }
        }
        unreachable!("the controllers never come to rest: {:#?}", self.objects);
    }

    pub(crate) fn settled(&mut self) {
        self.settle(&mut |_| {});
    }
}

/// RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
