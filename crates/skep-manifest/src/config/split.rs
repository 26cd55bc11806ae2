//! The sets that stand in the manifests themselves.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Salt, Versioned, hash, named, versioned};
use crate::{
    references::config_references,
    substitute::{filled, values_in},
};

/// Types of Secrets that something other than a pod reads by name: a version would not be found.
const STABLE_TYPES: &[&str] = &[
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/dockercfg",
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
];

/// Takes out of `objects` the ConfigMaps and Secrets that become versioned, and returns the others and the versions. One that has
/// placeholders is named by what it holds with their values, salted as a Secret is.
pub fn split_config(
    app: &str,
    objects: Vec<Value>,
    salt: &Salt,
    values: &BTreeMap<String, String>,
) -> (Vec<Value>, Vec<Versioned>) {
    let referred: BTreeSet<String> = objects
        .iter()
        .flat_map(config_references)
        .filter(|reference| reference.kind == "ConfigMap")
        .map(|reference| reference.name)
        .collect();
    let mut rest = Vec::new();
    let mut sets = Vec::new();
    for object in objects {
        match kind(&object, &referred) {
            Some("Secret") => sets.push(versioned(app, "Secret", &encoded(object), salt)),
            Some(kind) if values_in(&object).is_some() => {
                let name = hash::content(&filled(&object, values), &salt.0);
                sets.push(named(app, kind, &object, &name));
            }
            Some(kind) => sets.push(versioned(app, kind, &object, &Salt::new([]))),
            None => rest.push(object),
        }
    }
    (rest, sets)
}

fn kind(object: &Value, referred: &BTreeSet<String>) -> Option<&'static str> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match (text("/apiVersion"), text("/kind")) {
        ("v1", "Secret") if !STABLE_TYPES.contains(&text("/type")) => Some("Secret"),
        ("v1", "ConfigMap") if referred.contains(text("/metadata/name")) => Some("ConfigMap"),
        _ => None,
    }
}

/// `stringData` written as `data`, which is how the server keeps it: the two can then be compared.
fn encoded(mut object: Value) -> Value {
    let Some(map) = object.as_object_mut() else {
        return object;
    };
    if let Some(Value::Object(texts)) = map.remove("stringData") {
        let data = map.entry("data").or_insert_with(|| json!({}));
        for (key, text) in texts {
            data[key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
        }
    }
    map.entry("type").or_insert_with(|| "Opaque".into());
    object
}
