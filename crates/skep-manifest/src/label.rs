//! The labels by which Skep knows its objects.
//!
//! They are written on the objects alone, never into a pod template or a selector: a selector can't be changed later, and a
//! template that changes rolls its pods.

use serde_json::{Map, Value};

use crate::scope::metadata;

/// Kubernetes' label for the tool that manages an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGED_BY: &str = "skep";
/// The label that names the app.
pub const APP_LABEL: &str = "skep.dev/app";

/// Labels an object as the app's.
pub fn label(object: &mut Value, app: &str) {
    metadata(object, |metadata| {
        let labels = metadata.entry("labels").or_insert(Value::Null);
        if !labels.is_object() {
            *labels = Value::Object(Map::new());
        }
        labels[MANAGED_BY_LABEL] = MANAGED_BY.into();
        labels[APP_LABEL] = app.into();
    });
}

/// The app that an object belongs to, if it is Skep's.
pub fn owner_of(object: &Value) -> Option<&str> {
    let labels = object.pointer("/metadata/labels")?;
    if labels.get(MANAGED_BY_LABEL)?.as_str()? != MANAGED_BY {
        return None;
    }
    labels.get(APP_LABEL)?.as_str()
}
