//! Labels, annotations and selectors.

use serde_json::Value;

use super::{Causes, quoted};
use crate::names;

const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345')";
/// All annotations of an object together.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// A map of labels.
pub(crate) fn labels(map: Option<&Value>, field: &str, causes: &mut Causes) {
    let Some(map) = map.and_then(Value::as_object) else {
        return;
    };
    for (key, value) in map {
        if !names::is_qualified(key) {
            causes.invalid(field, &quoted(key), KEY);
        }
        let value = value.as_str().unwrap_or_default();
        if value.len() > 63 {
            causes.invalid(field, &quoted(value), "must be no more than 63 bytes");
        } else if !names::is_label_value(value) {
            causes.invalid(field, &quoted(value), VALUE);
        }
    }
}

/// `metadata.annotations`.
pub(crate) fn annotations(object: &Value, causes: &mut Causes) {
    let Some(map) = object.pointer("/metadata/annotations").and_then(Value::as_object) else {
        return;
    };
    let mut size = 0;
    for (key, value) in map {
        if !names::is_qualified(&key.to_lowercase()) {
            causes.invalid("metadata.annotations", &quoted(key), KEY);
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_MAX {
        causes.too_long("metadata.annotations", &format!("may not be more than {ANNOTATIONS_MAX} bytes"));
    }
}
