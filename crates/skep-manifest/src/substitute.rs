//! Placeholders in manifests, and the secrets that stand for them.
//!
//! A value goes into the text of a Secret and nowhere else: any other object is read by whoever may look at the namespace, and is
//! kept in the release's record.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{ManifestError, Object, object::escaped};

/// Puts the values in their places.
///
/// # Errors
/// When a placeholder stands outside the text of a Secret.
pub fn substitute(objects: &mut [Object], values: &BTreeMap<String, String>) -> Result<(), ManifestError> {
    for object in objects {
        if object.value["kind"] == "Secret" {
            fill(&mut object.value, values);
        }
        if let Some((pointer, placeholder)) = stands_in(&object.value, values, String::new()) {
            let message = format!("{placeholder} stands for a secret, and this is no text of a Secret");
            let hint = "put the value into a Secret's `stringData`, and let the pod read that";
            return Err(ManifestError::unusable(object.place(&pointer), &object.name(), &message, hint));
        }
    }
    Ok(())
}

fn fill(secret: &mut Value, values: &BTreeMap<String, String>) {
    for text in secret["stringData"].as_object_mut().into_iter().flat_map(|texts| texts.values_mut()) {
        if let Value::String(text) = text {
            for (placeholder, value) in values {
                *text = text.replace(placeholder, value);
            }
        }
    }
}

/// Where the first placeholder is that is left; a Secret's filled text, which is a value's own business, aside.
fn stands_in(value: &Value, values: &BTreeMap<String, String>, pointer: String) -> Option<(String, String)> {
    if pointer == "/stringData" {
        return None;
    }
    match value {
        Value::String(text) => {
            let found = values.keys().find(|placeholder| text.contains(*placeholder))?;
            Some((pointer, found.clone()))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| stands_in(item, values, format!("{pointer}/{index}"))),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, value)| stands_in(value, values, format!("{pointer}/{}", escaped(key)))),
        _ => None,
    }
}
