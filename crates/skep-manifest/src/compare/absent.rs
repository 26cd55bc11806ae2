//! Values that a server doesn't keep, because Go leaves them out (`omitempty` on a field that is no pointer).
//!
//! Only fields known to be so are here: for any other, `false` or `0` says something that its absence doesn't
//! (`allowPrivilegeEscalation: false`).

use serde_json::Value;

const MAPS: &[&str] = &[
    "labels",
    "annotations",
    "nodeSelector",
    "matchLabels",
    "limits",
    "requests",
    "data",
    "stringData",
    "binaryData",
];
const FALSE: &[&str] = &[
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "paused",
    "publishNotReadyAddresses",
];
const ZERO: &[&str] = &["initialDelaySeconds", "minReadySeconds"];
const EMPTY: &[&str] = &["value"];

/// Whether writing this value is the same as writing nothing.
pub(crate) fn counts_as_absent(names: &[&str], value: &Value) -> bool {
    let named = |known: &[&str]| names.last().is_some_and(|name| known.contains(name));
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && named(MAPS),
        Value::Bool(value) => !value && named(FALSE),
        Value::Number(number) => number.as_f64() == Some(0.0) && named(ZERO),
        Value::String(text) => text.is_empty() && named(EMPTY),
    }
}
