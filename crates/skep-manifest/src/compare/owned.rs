//! Fields that a manager applied before and doesn't any more: server-side apply takes them away.
//!
//! `managedFields` says what it applied, as a trie: `f:name` is a field, `k:{…}` the item of a list with these keys, `v:…` a
//! member of a set, `.` the thing itself (`sigs.k8s.io/structured-merge-diff`, `FieldsV1`).

use serde_json::{Map, Value};

use super::{is_servers, joined};

/// A set of fields, as `fieldsV1` has it.
pub(crate) type Fields = Map<String, Value>;

/// Path and live value of each field that `manager` applied to `live` and that `desired` lacks.
pub(crate) fn dropped(live: &Value, desired: &Value, manager: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let is = |key: &str, text: &str| entry.get(key).and_then(Value::as_str) == Some(text);
        let is_whole = entry.get("subresource").is_none_or(|sub| sub.as_str().is_none_or(str::is_empty));
        if let (true, true, true, Some(fields)) = (
            is("manager", manager),
            is("operation", "Apply"),
            is_whole,
            entry.get("fieldsV1").and_then(Value::as_object),
        ) {
            walk(fields, "", &[], Some(live), Some(desired), &mut found);
        }
    }
    found
}

fn walk(
    fields: &Map<String, Value>,
    path: &str,
    names: &[&str],
    live: Option<&Value>,
    desired: Option<&Value>,
    found: &mut Vec<(String, Value)>,
) {
    for (step, below) in fields {
        let (kind, rest) = step.split_once(':').unwrap_or((step, ""));
        let (path, live, desired) = match kind {
            "f" if is_servers(names, rest) => continue,
            "f" => {
                (joined(path, rest), live.and_then(|it| it.get(rest)), desired.and_then(|it| it.get(rest)))
            }
            "k" | "v" => {
                let Ok(key) = serde_json::from_str(rest) else {
                    continue;
                };
                (format!("{path}[{}]", label(&key)), item_of(live, &key, kind), item_of(desired, &key, kind))
            }
            _ => continue,
        };
        let Some(live) = live.filter(|value| !value.is_null()) else {
            continue;
        };
        let Some(desired) = desired.filter(|value| !value.is_null()) else {
            found.push((path, live.clone()));
            continue;
        };
        if let Some(below) = below.as_object() {
            let names: Vec<&str> = match kind {
                "f" => names.iter().copied().chain([rest]).collect(),
                _ => names.to_vec(),
            };
            walk(below, &path, &names, Some(live), Some(desired), found);
        }
    }
}

/// Path and live value of each single field of a set that another set lacks.
pub(crate) fn leaves(live: &Value, fields: &Fields, others: &Fields) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    leaves_below("", &[], live, fields, Some(others), &mut found);
    found
}

fn leaves_below(
    path: &str,
    names: &[&str],
    live: &Value,
    fields: &Fields,
    others: Option<&Fields>,
    found: &mut Vec<(String, Value)>,
) {
    for (step, below) in fields {
        let other = others.and_then(|others| others.get(step));
        let (kind, rest) = step.split_once(':').unwrap_or((step, ""));
        let (path, value) = match kind {
            "f" if is_servers(names, rest) => continue,
            "f" => (joined(path, rest), live.get(rest)),
            "k" | "v" => {
                let Ok(key) = serde_json::from_str(rest) else { continue };
                (format!("{path}[{}]", label(&key)), item_of(Some(live), &key, kind))
            }
            _ => continue,
        };
        let Some(value) = value else { continue };
        let names: Vec<&str> = match kind {
            "f" => names.iter().copied().chain([rest]).collect(),
            _ => names.to_vec(),
        };
        // An item of a list that nobody else has is one field.
        let is_whole = kind == "k" && other.is_none();
        match below.as_object().filter(|below| !is_whole && below.keys().any(|key| key != ".")) {
            Some(below) => leaves_below(&path, &names, value, below, other.and_then(Value::as_object), found),
            None if other.is_none() && below.as_object().is_none_or(|below| is_whole || below.is_empty()) => {
                found.push((path, value.clone()));
            }
            None => {}
        }
    }
}

/// The item of a list that a `k:` or `v:` step names.
pub(crate) fn item_of<'v>(list: Option<&'v Value>, key: &Value, kind: &str) -> Option<&'v Value> {
    list?.as_array()?.iter().find(|item| match key {
        Value::Object(keys) if kind == "k" => keys.iter().all(|(name, value)| match item.get(name) {
            Some(own) => own == value,
            // The one default that is part of a key.
            None => name == "protocol" && value.as_str() == Some("TCP"),
        }),
        _ => *item == key,
    })
}

/// The keys of an item as a person writes them: `api`, `8000`.
fn label(key: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match key {
        Value::Object(keys) => {
            let words =
                keys.iter().filter(|(name, value)| !(*name == "protocol" && value.as_str() == Some("TCP")));
            words.map(|(_, value)| word(value)).collect::<Vec<_>>().join("/")
        }
        other => word(other),
    }
}
