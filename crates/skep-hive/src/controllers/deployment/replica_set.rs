//! A Deployment's view of one ReplicaSet: its sizes, and the one write that this look wants for it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::action::Action;
use crate::kind::Kind;
use crate::object;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

pub(super) struct ReplicaSet {
    pub(super) object: Arc<Value>,
    /// `spec.replicas`, as it will be after this look.
    pub(super) replicas: i64,
    /// Made by this look: `object` is what will be created.
    is_new: bool,
    /// What this look changes about an existing one.
    patch: Option<Value>,
}

impl ReplicaSet {
    pub(super) fn observed(object: Arc<Value>) -> Self {
        let replicas = object::integer(&object, "/spec/replicas").unwrap_or(1);
        Self { object, replicas, is_new: false, patch: None }
    }

    pub(super) fn created(object: Value, replicas: i64) -> Self {
        Self { object: Arc::new(object), replicas, is_new: true, patch: None }
    }

    pub(super) fn name(&self) -> &str {
        object::name(&self.object)
    }

    pub(super) fn uid(&self) -> &str {
        object::uid(&self.object)
    }

    /// A count of `status`, 0 where it is absent.
    pub(super) fn status(&self, field: &str) -> i64 {
        self.object.get("status").and_then(|status| status.get(field)).and_then(Value::as_i64).unwrap_or(0)
    }

    pub(super) fn revision(&self) -> i64 {
        object::annotation(&self.object, REVISION).parse().unwrap_or(0)
    }

    pub(super) fn annotated(&self, key: &str) -> Option<i64> {
        object::annotation(&self.object, key).parse().ok()
    }

    pub(super) fn annotate(&mut self, key: &str, value: &Value) {
        self.patch()["metadata"]["annotations"][key] = value.clone();
    }

    pub(super) fn set_min_ready_seconds(&mut self, seconds: i64) {
        self.patch()["spec"]["minReadySeconds"] = json!(seconds);
    }

    /// Sets the size, and the two annotations by which a later look tells a scaling event. Returns whether the
    /// size changed.
    pub(super) fn resize(&mut self, size: i64, desired: i64, surge: i64) -> bool {
        if self.annotated(DESIRED_REPLICAS) != Some(desired)
            || self.annotated(MAX_REPLICAS) != Some(desired + surge)
        {
            self.annotate(DESIRED_REPLICAS, &json!(desired.to_string()));
            self.annotate(MAX_REPLICAS, &json!((desired + surge).to_string()));
        }
        if size == self.replicas {
            return false;
        }
        self.patch()["spec"]["replicas"] = json!(size);
        self.replicas = size;
        true
    }

    /// Where changes are written: a ReplicaSet that is only now being made is edited in place.
    fn patch(&mut self) -> &mut Value {
        if self.is_new {
            Arc::make_mut(&mut self.object)
        } else {
            self.patch.get_or_insert_with(|| json!({}))
        }
    }

    /// Appends this ReplicaSet's write, and the event that tells a user of it.
    pub(super) fn flush(&mut self, deployment: &Value, actions: &mut Vec<Action>) {
        let (before, action) = match self.patch.take() {
            None if self.is_new => (0, Action::Create(Value::clone(&self.object))),
            None => return,
            Some(patch) => (
                object::integer(&self.object, "/spec/replicas").unwrap_or(1),
                Action::patch(Kind::REPLICA_SET, &self.object, patch),
            ),
        };
        actions.push(action);
        if before != self.replicas {
            let direction = if self.replicas > before { "up" } else { "down" };
            actions.push(Action::event(
                deployment,
                "ScalingReplicaSet",
                format!("Scaled {direction} replica set {} from {before} to {}", self.name(), self.replicas),
            ));
        }
    }
}

/// The pod template of a Deployment or ReplicaSet without what may differ between the two.
pub(super) fn comparable_template(owner: &Value) -> Value {
    let mut template = owner.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    object::normal(&template)
}
