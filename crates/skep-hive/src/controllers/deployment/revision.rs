//! The ReplicaSet of the current template: found again, or made, and numbered.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Rollout;
use super::replica_set::{
    self, DESIRED_REPLICAS, HASH_LABEL, MAX_REPLICAS, REVISION, REVISION_HISTORY, ReplicaSet,
};
use crate::action::{Action, Target};
use crate::kind::Kind;
use crate::object;

/// Annotations of a Deployment that mean nothing, or something else, on its ReplicaSets.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.daemonset.template.generation",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
];

impl Rollout<'_> {
    /// Makes sure that the current template has its ReplicaSet. `all`: every ReplicaSet of the namespace, for the names
    /// that are taken.
    pub(super) fn ensure_new(&mut self, all: &[Arc<Value>]) {
        if self.new.is_some() {
            return self.refresh_revision();
        }
        let (name, hash) = self.free_name(all);
        let revision = self.next_revision();
        let mut object = self.template_of_new(&name, &hash, revision);
        let size = self.room_for_new(0);
        object["spec"]["replicas"] = json!(size);
        self.set_condition(
            "Progressing",
            "True",
            "NewReplicaSetCreated",
            &format!("Created new replica set \"{name}\""),
        );
        self.new = Some(ReplicaSet::created(object, size));
        self.write_revision(revision);
    }

    /// Numbers the ReplicaSet of the current template (above all others: a rollback is a new revision of old contents)
    /// and copies what may change without a new template.
    pub(super) fn refresh_revision(&mut self) {
        let next = self.next_revision();
        let Some(new) = &mut self.new else { return };
        let old = new.revision();
        if old < next {
            new.annotate(REVISION, &json!(next.to_string()));
            if old > 0 {
                let history = object::annotation(&new.object, REVISION_HISTORY);
                let history = if history.is_empty() { old.to_string() } else { format!("{history},{old}") };
                new.annotate(REVISION_HISTORY, &json!(history));
            }
        }
        for (key, value) in object::map(self.deployment, "/metadata/annotations").into_iter().flatten() {
            if !NOT_COPIED.contains(&key.as_str())
                && value.as_str() != Some(object::annotation(&new.object, key))
            {
                new.annotate(key, value);
            }
        }
        let seconds = object::integer(self.deployment, "/spec/minReadySeconds").unwrap_or(0);
        if object::integer(&new.object, "/spec/minReadySeconds").unwrap_or(0) != seconds {
            new.set_min_ready_seconds(seconds);
        }
        let name = new.name().to_owned();
        if object::condition_in(&self.conditions, "Progressing").is_none() {
            let message = format!("Found new replica set \"{name}\"");
            self.set_condition("Progressing", "True", "FoundNewReplicaSet", &message);
        }
        self.write_revision(next.max(old));
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(ReplicaSet::revision).max().unwrap_or(0) + 1
    }

    fn write_revision(&mut self, revision: i64) {
        let revision = revision.to_string();
        if object::annotation(self.deployment, REVISION) != revision {
            self.step.push(Action::Patch {
                target: Target::of(Kind::DEPLOYMENT, self.deployment),
                patch: json!({"metadata": {"annotations": {REVISION: revision}}}),
            });
        }
    }

    /// The name by the template's hash; a stranger of that name moves the collision count on.
    fn free_name(&mut self, all: &[Arc<Value>]) -> (String, String) {
        let template = replica_set::comparable_template(self.deployment);
        loop {
            let hash = object::hash(&template, self.collisions);
            let name = format!("{}-{hash}", object::name(self.deployment));
            if !all.iter().any(|one| object::name(one) == name) {
                return (name, hash);
            }
            self.collisions += 1;
        }
    }

    fn template_of_new(&self, name: &str, hash: &str, revision: i64) -> Value {
        let mut template = self.deployment.pointer("/spec/template").cloned().unwrap_or_default();
        template["metadata"]["labels"][HASH_LABEL] = json!(hash);
        let mut selector = self.deployment.pointer("/spec/selector").cloned().unwrap_or_default();
        selector["matchLabels"][HASH_LABEL] = json!(hash);
        let mut annotations = serde_json::Map::new();
        for (key, value) in object::map(self.deployment, "/metadata/annotations").into_iter().flatten() {
            if !NOT_COPIED.contains(&key.as_str()) {
                annotations.insert(key.clone(), value.clone());
            }
        }
        annotations.insert(REVISION.to_owned(), json!(revision.to_string()));
        annotations.insert(DESIRED_REPLICAS.to_owned(), json!(self.replicas.to_string()));
        annotations.insert(MAX_REPLICAS.to_owned(), json!((self.replicas + self.surge).to_string()));
        json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": object::namespace(self.deployment),
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [object::controller_reference(self.deployment)],
            },
            "spec": {
                "replicas": 0,
                "minReadySeconds": object::integer(self.deployment, "/spec/minReadySeconds").unwrap_or(0),
                "selector": selector,
                "template": template,
            },
        })
    }
}
