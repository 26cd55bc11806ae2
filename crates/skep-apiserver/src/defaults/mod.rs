//! What the user left out: the defaults of Kubernetes' API for the kinds that are served.
//!
//! They run before validation and before anything is hashed, on every write, and change nothing the second time.

mod canonical;
mod network;
mod pod;
mod quantity;
mod workload;

use serde_json::{Value, json};

pub(crate) use canonical::canonical;
pub(crate) use network::{endpoint_slice, endpoints, network_policy, service};
pub(crate) use pod::pod;
pub use quantity::Quantity;
pub(crate) use workload::{
    cron_job, daemon_set, deployment, horizontal_pod_autoscaler, job, replica_set, stateful_set,
};

use crate::meta;

/// Sets a field that isn't there.
fn set(target: &mut Value, name: &str, value: impl Into<Value>) {
    meta::fields(target).entry(name).or_insert_with(|| value.into());
}

/// The items of a list field, to be changed.
fn items<'a>(target: &'a mut Value, name: &str) -> &'a mut [Value] {
    target.get_mut(name).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// A field that is there and is an object.
fn object<'a>(target: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    target.get_mut(name).filter(|value| value.is_object())
}

pub(crate) fn namespace(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    let labels = meta::child(meta::child(namespace, "metadata"), "labels");
    set(labels, "kubernetes.io/metadata.name", name);
    if !meta::is_deleting(namespace) {
        set(meta::child(namespace, "spec"), "finalizers", json!(["kubernetes"]));
    }
    set(meta::child(namespace, "status"), "phase", "Active");
}

pub(crate) fn secret(secret: &mut Value) {
    set(secret, "type", "Opaque");
}

pub(crate) fn persistent_volume_claim(claim: &mut Value) {
    set(meta::child(claim, "spec"), "volumeMode", "Filesystem");
    set(meta::child(claim, "status"), "phase", "Pending");
}

pub(crate) fn role_binding(binding: &mut Value) {
    const RBAC: &str = "rbac.authorization.k8s.io";
    if let Some(role) = object(binding, "roleRef") {
        set(role, "apiGroup", RBAC);
    }
    for subject in items(binding, "subjects") {
        if meta::text(subject, "/kind") != Some("ServiceAccount") {
            set(subject, "apiGroup", RBAC);
        }
    }
}

pub(crate) fn storage_class(class: &mut Value) {
    set(class, "reclaimPolicy", "Delete");
    set(class, "volumeBindingMode", "Immediate");
}

pub(crate) fn priority_class(class: &mut Value) {
    set(class, "preemptionPolicy", "PreemptLowerPriority");
}
