//! Workloads whose replicas an autoscaler decides.

use serde_json::Value;
use skep_model::ObjectKey;

/// A workload under a HorizontalPodAutoscaler of the same release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaled {
    /// The workload, in the autoscaler's namespace.
    pub workload: ObjectKey,
    /// `minReplicas`, 1 if the autoscaler leaves it out.
    pub min: i64,
    /// `maxReplicas`.
    pub max: i64,
}

/// Every workload that an autoscaler among `objects` scales.
pub fn autoscaled<'o>(objects: impl IntoIterator<Item = &'o Value>) -> Vec<Autoscaled> {
    objects.into_iter().filter_map(of).collect()
}

fn of(object: &Value) -> Option<Autoscaled> {
    if object.get("kind")?.as_str()? != "HorizontalPodAutoscaler" {
        return None;
    }
    let target = object.pointer("/spec/scaleTargetRef")?;
    let text = |key: &str| target.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let min = number("/spec/minReplicas").unwrap_or(1);
    Some(Autoscaled {
        workload: ObjectKey {
            kind: text("kind")?,
            namespace: object.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned),
            name: text("name")?,
            api_version: text("apiVersion").unwrap_or_else(|| "apps/v1".to_owned()),
        },
        min,
        max: number("/spec/maxReplicas").unwrap_or(min),
    })
}

/// Writes into a desired workload the replicas that don't disturb its autoscaler: `minReplicas` when it is new; what lives,
/// as long as no manager but `manager` has written the field; and nothing once one has. (Leaving out a field that nobody
/// else owns would reset it to 1: an outage.)
pub fn hold_replicas(desired: &mut Value, live: Option<&Value>, scaled: &Autoscaled, manager: &str) {
    let Some(spec) = desired.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let replicas = match live {
        None => Some(Value::from(scaled.min)),
        Some(live) if is_owned_by_another(live, manager) => None,
        Some(live) => live.pointer("/spec/replicas").cloned().or_else(|| Some(Value::from(scaled.min))),
    };
    match replicas {
        Some(replicas) => spec.insert("replicas".to_owned(), replicas),
        None => spec.remove("replicas"),
    };
}

/// Whether `manager` has written a workload's `spec.replicas`.
pub fn replicas_are_of(live: &Value, manager: &str) -> bool {
    writers(live).any(|entry| entry.get("manager").and_then(Value::as_str) == Some(manager))
}

/// Whether nobody has written a workload's `spec.replicas`, or whoever had has let go of it.
pub fn replicas_are_nobodys(live: &Value) -> bool {
    writers(live).next().is_none()
}

/// Who owns which fields of an object, without `spec.replicas` in the entries of `manager`.
pub fn without_replicas_of(live: &Value, manager: &str) -> Value {
    let mut fields = live.pointer("/metadata/managedFields").cloned().unwrap_or_default();
    let entries = fields.as_array_mut().into_iter().flatten();
    for entry in entries.filter(|entry| entry.get("manager").and_then(Value::as_str) == Some(manager)) {
        if let Some(spec) = entry.pointer_mut("/fieldsV1/f:spec").and_then(Value::as_object_mut) {
            spec.remove("f:replicas");
        }
    }
    fields
}

/// The entries of `managedFields` that hold `spec.replicas`.
fn writers(live: &Value) -> impl Iterator<Item = &Value> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().filter(|entry| entry.pointer("/fieldsV1/f:spec/f:replicas").is_some())
}

/// Whether a manager other than `manager` has written `spec.replicas`, be it through the `scale` subresource.
fn is_owned_by_another(live: &Value, manager: &str) -> bool {
    writers(live).any(|entry| entry.get("manager").and_then(Value::as_str) != Some(manager))
}
