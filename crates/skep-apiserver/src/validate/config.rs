//! ConfigMap, Secret, PersistentVolumeClaim, ResourceQuota.

use serde_json::Value;

use super::{Causes, quoted};
use crate::defaults::Quantity;
use crate::meta;
use crate::quota;

/// Everything in one ConfigMap or Secret: Kubernetes stops at 1 MiB.
const MAX_BYTES: usize = 1024 * 1024;
const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
    'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

pub(crate) fn config_map(map: &Value, causes: &mut Causes) {
    let size = data(map, "data", causes) + data(map, "binaryData", causes) * 3 / 4;
    if let (Some(text), Some(binary)) = (fields(map, "data"), fields(map, "binaryData")) {
        for key in text.keys().filter(|key| binary.contains_key(*key)) {
            causes.invalid(format!("data[{key}]"), &quoted(key), "duplicate of key present in binaryData");
        }
    }
    check_size(size, "", causes);
}

pub(crate) fn secret(secret: &Value, causes: &mut Causes) {
    let size = data(secret, "data", causes) * 3 / 4;
    check_size(size, "data", causes);
    let needed: &[&str] = match meta::text(secret, "/type") {
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed.iter().filter(|key| secret["data"].get(**key).is_none()) {
        causes.required(format!("data[{key}]"), "");
    }
}

pub(crate) fn secret_update(new: &Value, old: &Value, causes: &mut Causes) {
    causes.immutable("type", "/type", new, old);
    immutable_data(new, old, causes);
}

/// An immutable ConfigMap or Secret stays as it is, and stays immutable.
pub(crate) fn immutable_data(new: &Value, old: &Value, causes: &mut Causes) {
    if old.get("immutable") != Some(&Value::Bool(true)) {
        return;
    }
    if new.get("immutable") != Some(&Value::Bool(true)) {
        causes.forbidden("immutable", "field is immutable when `immutable` is set");
    }
    for field in ["data", "binaryData"] {
        let empty = |value: Option<&Value>| value.is_none_or(|value| *value == serde_json::json!({}));
        let same = new.get(field) == old.get(field) || (empty(new.get(field)) && empty(old.get(field)));
        if !same {
            causes.forbidden(field, "field is immutable when `immutable` is set");
        }
    }
}

pub(crate) fn persistent_volume_claim(claim: &Value, causes: &mut Causes) {
    if meta::list(claim, "/spec/accessModes").is_empty() {
        causes.required("spec.accessModes", "at least 1 access mode is required");
    }
    const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    for mode in meta::list(claim, "/spec/accessModes").iter().filter_map(Value::as_str) {
        if !MODES.contains(&mode) {
            causes.unsupported("spec.accessModes", mode, MODES);
        }
    }
    if claim.pointer("/spec/resources/requests/storage").is_none() {
        causes.required("spec.resources[storage]", "");
    }
}

pub(crate) fn persistent_volume_claim_update(new: &Value, old: &Value, causes: &mut Causes) {
    let rest = |claim: &Value| {
        let mut spec = claim.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        for field in ["resources", "volumeName", "volumeAttributesClassName"] {
            spec.remove(field);
        }
        if old.pointer("/spec/storageClassName").is_none() {
            spec.remove("storageClassName");
        }
        spec
    };
    if rest(new) != rest(old) {
        causes.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }
}

fn fields<'a>(object: &'a Value, field: &str) -> Option<&'a serde_json::Map<String, Value>> {
    object.get(field).and_then(Value::as_object)
}

/// Checks the keys of a map of texts and counts its bytes.
fn data(object: &Value, field: &str, causes: &mut Causes) -> usize {
    let mut size = 0;
    for (key, value) in fields(object, field).into_iter().flatten() {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if key.is_empty() || key.len() > 253 || !key.bytes().all(valid) || key == "." || key.starts_with("..")
        {
            causes.invalid(format!("{field}[{key}]"), &quoted(key), KEY);
        }
        size += value.as_str().map_or(0, str::len);
    }
    size
}

fn check_size(size: usize, field: &str, causes: &mut Causes) {
    if size > MAX_BYTES {
        causes.too_long(field, &format!("may not be more than {MAX_BYTES} bytes"));
    }
}

/// What a quota bounds must be something that is counted here.
pub(crate) fn resource_quota(quota: &Value, causes: &mut Causes) {
    for field in ["scopes", "scopeSelector"] {
        if quota["spec"].get(field).is_some() {
            causes.forbidden(format!("spec.{field}"), "hive counts all pods alike");
        }
    }
    for (resource, hard) in quota.pointer("/spec/hard").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("spec.hard[{resource}]");
        if !quota::is_counted(resource) {
            causes.invalid(path, &quoted(resource), "hive does not count this resource");
        } else if Quantity::parse(hard.as_str().unwrap_or_default()).is_none() {
            causes.invalid(path, hard, "must be a quantity");
        }
    }
}
