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

/// A mapping whose values are strings.
fn map(object: &Object, pointer: &str) -> Result<(), ManifestError> {
    match object.value.pointer(pointer) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(map)) => {
            map.keys().try_for_each(|key| field(object, &format!("{pointer}/{}", escaped(key))))
        }
        Some(other) => Err(wrong(object, pointer, "a mapping of strings", other)),
    }
}

fn field(object: &Object, pointer: &str) -> Result<(), ManifestError> {
    match object.value.pointer(pointer) {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(other) => Err(wrong(object, pointer, "a string", other)),
    }
}

fn wrong(object: &Object, pointer: &str, expected: &'static str, found: &Value) -> ManifestError {
    let found = match found {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        // A password may be all digits.
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    };
    let field = pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
    ManifestError::at(object, pointer, Problem::WrongType { field, expected, found })
}
