//! Who refers to which ConfigMap or Secret from a pod template.
//!
//! Env values, `envFrom`, volumes and projected volumes are followed. `imagePullSecrets` are not: pull secrets keep their
//! name outside releases; nor is an Ingress's TLS secret, which no pod reads.

use serde_json::Value;

use crate::template::{self, containers};

/// A ConfigMap or Secret that a pod template names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigReference {
    /// `ConfigMap` or `Secret`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Whether pods start without it: every mention of it says `optional: true`.
    pub optional: bool,
}

/// Every set that the pod template of a workload, or a Pod, refers to; sorted, each once.
pub fn config_references(object: &Value) -> Vec<ConfigReference> {
    let Some(spec) = template::pod_spec(object) else {
        return Vec::new();
    };
    let named = reference_pointers(spec).into_iter().filter_map(|(kind, pointer)| {
        let name = spec.pointer(&pointer)?.as_str()?.to_owned();
        let source = pointer.rsplit_once('/').and_then(|(source, _)| spec.pointer(source));
        let optional = source.is_some_and(|source| source.get("optional") == Some(&Value::Bool(true)));
        Some(ConfigReference { kind, name, optional })
    });
    let mut references: Vec<ConfigReference> = named.collect();
    // A mention that isn't optional sorts first and stands for the others.
    references.sort();
    references.dedup_by(|later, first| (later.kind, &later.name) == (first.kind, &first.name));
    references
}

/// Changes the name of every reference for which `rename` has a new one; returns how many were changed.
pub(crate) fn rename(object: &mut Value, rename: impl Fn(&str, &str) -> Option<String>) -> usize {
    let Some(spec) = template::pod_spec_mut(object) else {
        return 0;
    };
    let mut count = 0;
    for (kind, pointer) in reference_pointers(spec) {
        let Some(name) = spec.pointer_mut(&pointer) else {
            continue;
        };
        if let Some(new) = name.as_str().and_then(|name| rename(kind, name)) {
            *name = Value::String(new);
            count += 1;
        }
    }
    count
}

/// Kind, and JSON pointer in the pod spec to the name.
fn reference_pointers(spec: &Value) -> Vec<(&'static str, String)> {
    let mut pointers = Vec::new();
    for (list, index, container) in containers(spec) {
        for (at, _) in items(container, "env") {
            let from = format!("/{list}/{index}/env/{at}/valueFrom");
            pointers.push(("ConfigMap", format!("{from}/configMapKeyRef/name")));
            pointers.push(("Secret", format!("{from}/secretKeyRef/name")));
        }
        for (at, _) in items(container, "envFrom") {
            let from = format!("/{list}/{index}/envFrom/{at}");
            pointers.push(("ConfigMap", format!("{from}/configMapRef/name")));
            pointers.push(("Secret", format!("{from}/secretRef/name")));
        }
    }
    for (at, volume) in items(spec, "volumes") {
        pointers.push(("ConfigMap", format!("/volumes/{at}/configMap/name")));
        pointers.push(("Secret", format!("/volumes/{at}/secret/secretName")));
        let sources = volume.get("projected").unwrap_or(&Value::Null);
        for (source, _) in items(sources, "sources") {
            let from = format!("/volumes/{at}/projected/sources/{source}");
            pointers.push(("ConfigMap", format!("{from}/configMap/name")));
            pointers.push(("Secret", format!("{from}/secret/name")));
        }
    }
    pointers.retain(|(_, pointer)| spec.pointer(pointer).is_some());
    pointers
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().enumerate()
}
