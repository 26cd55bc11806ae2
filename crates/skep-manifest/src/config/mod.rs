//! Versioned config: each ConfigMap and Secret is immutable and named by its content, so that a release brings its own
//! and a rollback brings the old one back.
//!
//! Beside each version stands a copy under the plain name, for people and kubectl; nothing that Skep applies refers to
//! it. A Secret in the manifests is versioned too, unless its type says that something other than a pod reads it by its
//! name (a registry login, a service account's or bootstrap token). A ConfigMap in the manifests is versioned if a pod
//! template refers to it; any other may be read by its name through the API, and stays as it is.

mod hash;
mod split;
mod versions;

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use skep_model::ObjectKey;

use crate::{
    label::label,
    references::{self, config_references},
};

pub(crate) use hash::hex;
pub use split::split_config;
pub use versions::Versions;

/// Names the plain name on a version.
const VERSION_OF: &str = "skep.dev/version-of";
/// Names the version on a copy.
const COPY_OF: &str = "skep.dev/copy-of";

/// The key that an app's Secret versions are salted with, so that a name is no help in guessing a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(Vec<u8>);

impl Salt {
    /// A salt made once per app, at random, of any length.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// One version of a set, ready to be applied.
#[derive(Clone, PartialEq)]
pub struct Versioned {
    /// `ConfigMap` or `Secret`.
    pub kind: &'static str,
    /// The name that manifests use, `honeydue-config`.
    pub plain_name: String,
    /// The name by content, `honeydue-config-4f9a1c2b`.
    pub name: String,
    /// The immutable object.
    pub version: Value,
    /// The mutable copy under the plain name.
    pub copy: Value,
}

/// Shows names only: a Secret's data must reach no log.
impl fmt::Debug for Versioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// A workload that reads a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumer {
    /// The workload.
    pub workload: ObjectKey,
    /// `ConfigMap` or `Secret`.
    pub kind: &'static str,
    /// The set, by its plain name.
    pub set: String,
}

/// A version of a ConfigMap.
pub fn config_map(app: &str, namespace: &str, name: &str, values: &BTreeMap<String, String>) -> Versioned {
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace },
        "data": values,
    });
    versioned(app, "ConfigMap", &object, &Salt::new([]))
}

/// A version of an `Opaque` Secret.
pub fn secret(
    app: &str,
    namespace: &str,
    name: &str,
    values: &BTreeMap<String, String>,
    salt: &Salt,
) -> Versioned {
    let data: BTreeMap<&String, String> =
        values.iter().map(|(key, value)| (key, STANDARD.encode(value))).collect();
    let object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": { "name": name, "namespace": namespace },
        "data": data,
    });
    versioned(app, "Secret", &object, salt)
}

/// Makes the version and the copy of an object that has its plain name.
fn versioned(app: &str, kind: &'static str, object: &Value, salt: &Salt) -> Versioned {
    named(app, kind, object, &hash::content(object, &salt.0))
}

/// The same with the version told.
fn named(app: &str, kind: &'static str, object: &Value, version: &str) -> Versioned {
    let plain_name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let name = format!("{plain_name}-{version}");
    let mut copy = object.clone();
    label(&mut copy, app);
    if let Some(object) = copy.as_object_mut() {
        object.remove("immutable");
    }
    let mut version = copy.clone();
    version["immutable"] = Value::Bool(true);
    version["metadata"]["name"] = name.clone().into();
    version["metadata"]["annotations"][VERSION_OF] = plain_name.clone().into();
    copy["metadata"]["annotations"][COPY_OF] = name.clone().into();
    Versioned { kind, plain_name, name, version, copy }
}

/// The plain copy of a version that lives in a cluster, as it was when the version was made: what a rollback writes. `None`
/// for an object that is no version.
pub fn copy_of_version(live: &Value) -> Option<Value> {
    let metadata = live.get("metadata")?;
    let plain_name = metadata.get("annotations")?.get(VERSION_OF)?;
    let mut copy = json!({
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {
            "name": plain_name,
            "namespace": metadata["namespace"],
            "labels": metadata["labels"],
            "annotations": { COPY_OF: metadata["name"] },
        },
    });
    for key in ["type", "data", "binaryData"] {
        if let Some(value) = live.get(key) {
            copy[key] = value.clone();
        }
    }
    Some(copy)
}

/// Rewrites every reference to a set, in the pod templates of `objects`, to its version; returns how many there were.
pub fn version<'o>(objects: impl IntoIterator<Item = &'o mut Value>, sets: &[Versioned]) -> usize {
    let renamed = |kind: &str, name: &str| {
        let set = sets.iter().find(|set| set.kind == kind && set.plain_name == name)?;
        Some(set.name.clone())
    };
    objects.into_iter().map(|object| references::rename(object, renamed)).sum()
}

/// Moves the references of recorded objects from the versions that `known` has of these sets to the sets' new versions; returns
/// how many there were.
pub fn reversion<'o>(
    objects: impl IntoIterator<Item = &'o mut Value>,
    sets: &[Versioned],
    known: &Versions,
) -> usize {
    let renamed = |kind: &str, name: &str| {
        let plain = known.plain_name(kind, name).unwrap_or(name);
        let set = sets.iter().find(|set| set.kind == kind && set.plain_name == plain)?;
        Some(set.name.clone())
    };
    objects.into_iter().map(|object| references::rename(object, renamed)).sum()
}

/// The plain name of a copy, and the version that it is of; `None` for any other object.
pub fn copied_from(copy: &Value) -> Option<(String, String)> {
    let metadata = copy.get("metadata")?;
    let version = metadata.get("annotations")?.get(COPY_OF)?.as_str()?;
    Some((metadata.get("name")?.as_str()?.to_owned(), version.to_owned()))
}

/// Whether an object is a version of a set, or the plain copy of one.
pub fn is_version_or_copy(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    annotations.is_some_and(|all| [VERSION_OF, COPY_OF].iter().any(|known| all.get(*known).is_some()))
}

/// Which workloads read which sets, by the plain or the versioned name; sorted.
pub fn consumers<'o>(objects: impl IntoIterator<Item = &'o Value>, sets: &[Versioned]) -> Vec<Consumer> {
    let mut consumers = Vec::new();
    for object in objects {
        let Some(workload) = ObjectKey::of(object) else {
            continue;
        };
        for reference in config_references(object) {
            let named = |set: &&Versioned| {
                set.kind == reference.kind && (set.plain_name == reference.name || set.name == reference.name)
            };
            if let Some(set) = sets.iter().find(named) {
                consumers.push(Consumer {
                    workload: workload.clone(),
                    kind: set.kind,
                    set: set.plain_name.clone(),
                });
            }
        }
    }
    consumers.sort();
    consumers.dedup();
    consumers
}
