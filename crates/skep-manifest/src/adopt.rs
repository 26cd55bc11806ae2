//! Objects that kubectl wrote before Skep came: what it wrote of them, and whose their fields are to be from now on.
//!
//! kubectl leaves its name in `managedFields`: `kubectl-client-side-apply`, `kubectl-create`, `kubectl-set`, `kubectl`, …. An
//! object without Skep's label and with such an entry can be adopted: kubectl's entries are moved to the applier's, so that a
//! field that the manifests lack goes away with the next apply, as `kubectl apply` would have taken it.

use serde_json::{Map, Value, json};

use crate::{
    Difference,
    compare::{self, Fields, item_of},
    label::owner_of,
};

/// Whether a manager is kubectl, in one of its commands.
pub fn is_kubectl(manager: &str) -> bool {
    manager == "kubectl" || manager.starts_with("kubectl-")
}

/// `kubectl rollout restart` writes this into the template. It stays with kubectl: taking it away would be one more restart.
const RESTARTED_AT: &[&str] =
    &["f:spec", "f:template", "f:metadata", "f:annotations", "f:kubectl.kubernetes.io/restartedAt"];

/// Fields that the API gives each object anew: a wish of nobody, and no default.
const ASSIGNED: &[&str] = &[
    "clusterIP",
    "clusterIPs",
    "healthCheckNodePort",
    "nodePort",
    "volumeName",
    "kubernetes.io/metadata.name",
];

/// The names under which kubectl wrote an object that is nobody's yet, sorted; none when there is nothing to adopt.
pub fn adoptable_from(live: &Value) -> Vec<String> {
    if owner_of(live).is_some() {
        return Vec::new();
    }
    let mut managers: Vec<String> =
        entries(live).filter(|entry| is_ours_to_move(entry)).map(|entry| manager(entry).to_owned()).collect();
    managers.sort();
    managers.dedup();
    managers
}

/// Fields of an object with an owner that kubectl wrote beside `owner`'s: each with kubectl's name and the live value. The marks of a
/// `rollout restart` and of an old `apply` are no wishes.
pub fn added_by_kubectl(live: &Value, owner: &str) -> Vec<(String, Difference)> {
    if owner_of(live).is_none() {
        return Vec::new();
    }
    let mine = entries(live).filter(|entry| manager(entry) == owner && entry["operation"] == "Apply");
    let mut ours = Map::new();
    for entry in mine {
        unite(&mut ours, entry["fieldsV1"].as_object().cloned().unwrap_or_default());
    }
    let mut added = Vec::new();
    for entry in entries(live).filter(|entry| is_ours_to_move(entry)) {
        let mut fields = entry["fieldsV1"].as_object().cloned().unwrap_or_default();
        take(&mut fields, RESTARTED_AT);
        let found = compare::leaves(live, &fields, &ours);
        let wishes = found.into_iter().filter(|field| !field.path.contains("kubectl.kubernetes.io/"));
        added.extend(wishes.map(|field| (manager(entry).to_owned(), field)));
    }
    added
}

/// The `managedFields` of an object whose kubectl entries are `applier`'s from now on.
pub fn adopted_fields(live: &Value, applier: &str) -> Value {
    let (mut kept, mut moved) = (Vec::new(), Map::new());
    let mut api_version = live["apiVersion"].clone();
    for entry in entries(live) {
        if !is_ours_to_move(entry) {
            kept.push(entry.clone());
            continue;
        }
        let mut fields = entry["fieldsV1"].as_object().cloned().unwrap_or_default();
        if let Some(restarted) = take(&mut fields, RESTARTED_AT) {
            let mut rest = entry.clone();
            rest["fieldsV1"] = restarted;
            kept.push(rest);
        }
        unite(&mut moved, fields);
        api_version = entry["apiVersion"].clone();
    }
    let mine = |entry: &&Value| manager(entry) == applier && entry["operation"] == "Apply";
    if let Some(mine) = kept.iter().find(mine) {
        unite(&mut moved, mine["fieldsV1"].as_object().cloned().unwrap_or_default());
    }
    kept.retain(|entry| !mine(&entry));
    kept.push(json!({
        "manager": applier, "operation": "Apply", "apiVersion": api_version, "fieldsType": "FieldsV1", "fieldsV1": moved,
    }));
    Value::Array(kept)
}

/// What an apply of `desired` makes of `live` once kubectl's fields are the applier's. `forced` is what it makes of it before: there,
/// fields that kubectl wrote and `desired` lacks are still what they were. Afterwards they are what they are in `fresh`, a new
/// object made from `desired`: kubectl owns the defaults of what it created, and those come back.
pub fn after_adoption(live: &Value, forced: &Value, desired: &Value, fresh: &Value) -> Value {
    let mut expected = forced.clone();
    for entry in entries(live).filter(|entry| is_ours_to_move(entry)) {
        let mut fields = entry["fieldsV1"].as_object().cloned().unwrap_or_default();
        take(&mut fields, RESTARTED_AT);
        renew(&mut expected, &fields, desired, fresh);
    }
    expected
}

/// Gives each of `fields` that `desired` lacks its value in `fresh`.
fn renew(expected: &mut Value, fields: &Fields, desired: &Value, fresh: &Value) {
    for (step, below) in fields {
        let (kind, rest) = step.split_once(':').unwrap_or((step, ""));
        let below = below.as_object().filter(|below| !below.is_empty());
        if ASSIGNED.contains(&rest) {
            continue;
        }
        if kind == "f" {
            let (wanted, new) = (desired.get(rest), fresh.get(rest));
            let Some(object) = expected.as_object_mut() else { continue };
            match (wanted, below, object.get_mut(rest)) {
                // Others may own a part of it: only what kubectl wrote is renewed.
                (wanted, Some(below), Some(there)) => {
                    renew(there, below, wanted.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null));
                    let is_empty = there.as_object().is_some_and(Map::is_empty)
                        || there.as_array().is_some_and(Vec::is_empty);
                    if wanted.is_none() && new.is_none() && is_empty {
                        object.remove(rest);
                    }
                }
                (Some(_), _, _) => {}
                (None, ..) => match new {
                    Some(new) => {
                        object.insert(rest.to_owned(), new.clone());
                    }
                    None => {
                        object.remove(rest);
                    }
                },
            }
        } else if let ("k" | "v", Ok(key)) = (kind, serde_json::from_str::<Value>(rest)) {
            let (wanted, new) = (item_of(Some(desired), &key, kind), item_of(Some(fresh), &key, kind));
            let Some(list) = expected.as_array_mut() else { continue };
            let named = |item: &Value| item_of(Some(&json!([item])), &key, kind).is_some();
            match (wanted, below, list.iter_mut().find(|item| named(item))) {
                (Some(wanted), Some(below), Some(there)) => {
                    renew(there, below, wanted, new.unwrap_or(&Value::Null));
                }
                (Some(_), ..) => {}
                (None, ..) => list.retain(|item| new.is_some() || !named(item)),
            }
        }
    }
}

/// An object as people wrote it through kubectl: the fields that are kubectl's, with their live values.
pub fn as_written(live: &Value) -> Value {
    let mut written = Map::new();
    for key in ["apiVersion", "kind"] {
        written.insert(key.to_owned(), live[key].clone());
    }
    let mut object = Value::Object(written);
    for entry in entries(live).filter(|entry| is_ours_to_move(entry)) {
        let mut fields = entry["fieldsV1"].as_object().cloned().unwrap_or_default();
        take(&mut fields, RESTARTED_AT);
        copy(live, &fields, &mut object);
    }
    for key in ["name", "namespace"] {
        if let Some(value) = live["metadata"].get(key) {
            object["metadata"][key] = value.clone();
        }
    }
    if let Some(annotations) = object["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with("kubectl.kubernetes.io/"));
    }
    object
}

pub(crate) fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten()
}

fn manager(entry: &Value) -> &str {
    entry["manager"].as_str().unwrap_or_default()
}

/// kubectl's, and of the object itself: `kubectl scale` writes the replicas through a subresource.
fn is_ours_to_move(entry: &Value) -> bool {
    let subresource = entry["subresource"].as_str().unwrap_or_default();
    is_kubectl(manager(entry)) && matches!(subresource, "" | "scale")
}

/// Adds one set of fields to another.
pub(crate) fn unite(into: &mut Fields, from: Fields) {
    for (step, below) in from {
        match (into.get_mut(&step).and_then(Value::as_object_mut), below) {
            (Some(there), Value::Object(below)) => unite(there, below),
            (_, below) => {
                into.insert(step, below);
            }
        }
    }
}

/// Takes one field out of a set and returns it as a set of its own.
fn take(fields: &mut Fields, path: &[&str]) -> Option<Value> {
    let (step, rest) = path.split_first()?;
    if rest.is_empty() {
        let taken = fields.remove(*step)?;
        return Some(json!({ *step: taken }));
    }
    let below = fields.get_mut(*step)?.as_object_mut()?;
    let taken = take(below, rest)?;
    let empty = below.keys().all(|key| key == ".");
    if empty {
        fields.remove(*step);
    }
    Some(json!({ *step: taken }))
}

/// Copies the values of `fields` from one object into another of the same shape.
fn copy(from: &Value, fields: &Fields, into: &mut Value) {
    for (step, below) in fields {
        let (kind, rest) = step.split_once(':').unwrap_or((step, ""));
        let below = below.as_object().filter(|below| !below.is_empty());
        match kind {
            "f" if ASSIGNED.contains(&rest) => {}
            "f" => {
                let Some(value) = from.get(rest) else { continue };
                if !into.is_object() {
                    *into = json!({});
                }
                match below {
                    None => into[rest] = value.clone(),
                    Some(below) => {
                        let empty = if value.is_array() { json!([]) } else { json!({}) };
                        let there = into.as_object_mut().map(|into| into.entry(rest).or_insert(empty));
                        if let Some(there) = there {
                            copy(value, below, there);
                        }
                    }
                }
            }
            "k" | "v" => {
                let Ok(key) = serde_json::from_str::<Value>(rest) else { continue };
                let Some(value) = item_of(Some(from), &key, kind) else { continue };
                let Some(list) = into.as_array_mut() else { continue };
                let at = list.iter().position(|item| item_of(Some(&json!([item])), &key, kind).is_some());
                let at = at.unwrap_or_else(|| {
                    list.push(if key.is_object() { key.clone() } else { value.clone() });
                    list.len() - 1
                });
                if let (Some(below), Some(item)) = (below, list.get_mut(at)) {
                    copy(value, below, item);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
