//! Lists whose items Kubernetes tells apart by a key (`x-kubernetes-list-type: map`), not by their place.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

/// What tells one item of a list from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type KeyOf = fn(&Value) -> Option<Key>;

/// How the items of the list at `names` are told apart; `None` if by their place, or if a key is missing or there twice.
pub(crate) fn list_key(names: &[&str], is_service: bool, a: &[Value], b: &[Value]) -> Option<KeyOf> {
    let key: KeyOf = match *names {
        [
            ..,
            "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets",
        ] => by_name,
        [.., "containers" | "initContainers" | "ephemeralContainers", "ports"] => by_container_port,
        ["spec", "ports"] if is_service => by_service_port,
        [.., "volumeMounts"] => by_mount_path,
        [.., "volumeDevices"] => by_device_path,
        [.., "hostAliases"] => by_ip,
        [.., "conditions"] => by_type,
        [.., "ownerReferences"] => by_uid,
        [.., "topologySpreadConstraints"] => by_topology,
        _ => return None,
    };
    let is_unique = |items: &[Value]| {
        let keys: Option<BTreeSet<Key>> = items.iter().map(key).collect();
        keys.is_some_and(|keys| keys.len() == items.len())
    };
    (is_unique(a) && is_unique(b)).then_some(key)
}

fn text(item: &Value, key: &str) -> Option<String> {
    match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn by_name(item: &Value) -> Option<Key> {
    text(item, "name").map(Key)
}

fn by_mount_path(item: &Value) -> Option<Key> {
    text(item, "mountPath").map(Key)
}

fn by_device_path(item: &Value) -> Option<Key> {
    text(item, "devicePath").map(Key)
}

fn by_ip(item: &Value) -> Option<Key> {
    text(item, "ip").map(Key)
}

fn by_type(item: &Value) -> Option<Key> {
    text(item, "type").map(Key)
}

fn by_uid(item: &Value) -> Option<Key> {
    text(item, "uid").map(Key)
}

fn by_container_port(item: &Value) -> Option<Key> {
    Some(port(&text(item, "containerPort")?, item))
}

fn by_service_port(item: &Value) -> Option<Key> {
    Some(port(&text(item, "port")?, item))
}

/// The protocol is a part of the key, and TCP where none is written.
fn port(number: &str, item: &Value) -> Key {
    match text(item, "protocol").as_deref() {
        None | Some("TCP") => Key(number.to_owned()),
        Some(other) => Key(format!("{number}/{other}")),
    }
}

fn by_topology(item: &Value) -> Option<Key> {
    let unsatisfiable = text(item, "whenUnsatisfiable").unwrap_or_default();
    Some(Key(format!("{}/{unsatisfiable}", text(item, "topologyKey")?)))
}
