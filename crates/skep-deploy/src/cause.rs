//! Change causes: what `kubectl rollout history` shows beside each revision of a Deployment.
//!
//! Skep writes one with a change that makes pods and leaves it alone otherwise, so that it is never a change by itself. A cause
//! that the manifests write is theirs.

use std::collections::BTreeMap;

use serde_json::Value;
use skep_manifest::is_workload;
use skep_model::ObjectKey;

/// The annotation, which a Deployment's controller copies to its ReplicaSets.
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// How Skep's own begin.
const BY_SKEP: &str = "skep ";

/// Workloads keep the cause that they have.
pub(crate) fn keep(objects: &mut [Value], live: &BTreeMap<ObjectKey, Value>) {
    for object in objects.iter_mut().filter(|object| is_workload(object) && may_write(object)) {
        let Some(key) = ObjectKey::of(object) else { continue };
        let cause = live.get(&key).and_then(|live| live["metadata"]["annotations"].get(CHANGE_CAUSE));
        *object = without(std::mem::take(object));
        if let Some(cause) = cause.filter(|cause| is_skeps(cause)) {
            object["metadata"]["annotations"][CHANGE_CAUSE] = cause.clone();
        }
    }
}

/// Says to those that get new pods why.
pub(crate) fn say(objects: &mut [Value], restarted: &[&ObjectKey], cause: &str) {
    for object in objects.iter_mut().filter(|object| is_workload(object) && may_write(object)) {
        if ObjectKey::of(object).is_some_and(|key| restarted.contains(&&key)) {
            object["metadata"]["annotations"][CHANGE_CAUSE] = format!("{BY_SKEP}{cause}").into();
        }
    }
}

/// The object as its manifest has it: which release last changed it is no part of its contents.
pub(crate) fn without(mut object: Value) -> Value {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        if annotations.get(CHANGE_CAUSE).is_some_and(is_skeps) {
            annotations.remove(CHANGE_CAUSE);
        }
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object
}

fn may_write(object: &Value) -> bool {
    object["metadata"]["annotations"].get(CHANGE_CAUSE).is_none_or(is_skeps)
}

fn is_skeps(cause: &Value) -> bool {
    cause.as_str().is_some_and(|cause| cause.starts_with(BY_SKEP))
}
