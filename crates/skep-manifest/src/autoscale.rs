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
            namespace: object
                .pointer("/metadata/namespace")
                .and_then(Value::as_str)
                .map(str::to_owned),
            name: text("name")?,
            api_version: text("apiVersion").unwrap_or_else(|| "apps/v1".to_owned()),
        },
        min,
        max: number("/spec/maxReplicas").unwrap_or(min),
    })
}
