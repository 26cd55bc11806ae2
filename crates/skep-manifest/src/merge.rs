//! Laying one folder of manifests over another.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    error::{ManifestError, Problem},
    object::{Object, Place, escaped},
};

/// Lays folders of objects over each other, in order. An object that an earlier folder has too, by kind, name and
/// namespace, merge-patches it (RFC 7396: mappings merge, a list replaces, `null` takes away); any other is added.
///
/// # Errors
/// When one folder has the same object twice.
pub fn merge(layers: impl IntoIterator<Item = Vec<Object>>) -> Result<Vec<Object>, ManifestError> {
    let mut merged: Vec<Object> = Vec::new();
    for layer in layers {
        let mut new: Vec<Object> = Vec::new();
        let mut seen: Vec<Object> = Vec::new();
        for object in layer {
            if let Some(first) = seen.iter().find(|other| is_same(other, &object)) {
                let first = first.origin.to_string();
                return Err(ManifestError::at(&object, "", Problem::DuplicateObject { first }));
            }
            match merged.iter_mut().find(|other| is_same(other, &object)) {
                Some(below) => lay(below, &object),
                None => new.push(object.clone()),
            }
            seen.push(object);
        }
        merged.append(&mut new);
    }
    Ok(merged)
}

/// RFC 7396.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge_patch(map.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// Whether two manifests describe one object. One that leaves its namespace out is in the app's, whatever the other says.
fn is_same(a: &Object, b: &Object) -> bool {
    let (Some(mut a), Some(mut b)) = (a.key(), b.key()) else {
        return false;
    };
    if a.namespace.is_none() || b.namespace.is_none() {
        (a.namespace, b.namespace) = (None, None);
    }
    a.same_object(&b)
}

fn lay(below: &mut Object, over: &Object) {
    lay_places(&mut below.places, &over.places, "", &over.value);
    merge_patch(&mut below.value, &over.value);
}

/// Places follow the values: what the patch wrote is where the patch wrote it.
fn lay_places(
    below: &mut BTreeMap<String, Place>,
    over: &BTreeMap<String, Place>,
    pointer: &str,
    patch: &Value,
) {
    if let Value::Object(map) = patch {
        for (key, value) in map {
            lay_places(below, over, &format!("{pointer}/{}", escaped(key)), value);
        }
        return;
    }
    let inside =
        |key: &str| key.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below.retain(|key, _| !inside(key));
    below.extend(over.iter().filter(|(key, _)| inside(key)).map(|(key, place)| (key.clone(), place.clone())));
}
