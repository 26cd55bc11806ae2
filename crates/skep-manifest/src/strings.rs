//! Fields that must be strings and are easily written as something else: `enabled: on`, `port: 8080`, `namespace: n`.
//!
//! Kubernetes refuses them too, but only when it is asked, and without a line.

use serde_json::Value;

use crate::{
    error::{ManifestError, Problem},
    object::{Object, escaped},
    template::{self, containers},
};

/// Checks names, labels, annotations, config and environment values. `null` passes: in a later folder it takes away.
pub(crate) fn check(object: &Object) -> Result<(), ManifestError> {
    for pointer in ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"] {
        field(object, pointer)?;
    }
    let template = template::pointer(&object.value).unwrap_or_default();
    for holder in ["", template] {
        map(object, &format!("{holder}/metadata/labels"))?;
        map(object, &format!("{holder}/metadata/annotations"))?;
    }
    if matches!(object.text("/kind"), Some("ConfigMap" | "Secret")) {
        map(object, "/data")?;
        map(object, "/stringData")?;
    }
    let Some(spec) = template::pod_spec(&object.value) else {
        return Ok(());
    };
    for (list, index, container) in containers(spec) {
        let env = container.get("env").and_then(Value::as_array).into_iter().flatten();
        for at in 0..env.count() {
            field(object, &format!("{template}/spec/{list}/{index}/env/{at}/value"))?;
        }
    }
    Ok(())
}

fn map(object: &Object, pointer: &str) -> Result<(), ManifestError> {
    let keys =
        object.value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(|map| map.keys());
    for key in keys {
        field(object, &format!("{pointer}/{}", escaped(key)))?;
    }
    Ok(())
}

fn field(object: &Object, pointer: &str) -> Result<(), ManifestError> {
    let found = match object.value.pointer(pointer) {
        None | Some(Value::Null | Value::String(_)) => return Ok(()),
        Some(Value::Bool(value)) => format!("the boolean {value}"),
        Some(Value::Number(number)) => format!("the number {number}"),
        Some(Value::Array(_)) => "a list".to_owned(),
        Some(Value::Object(_)) => "a mapping".to_owned(),
    };
    let field = pointer[1..].replace('/', ".").replace("~1", "/").replace("~0", "~");
    let expected = "a string";
    Err(ManifestError::at(object, pointer, Problem::WrongType { field, expected, found }))
}
