//! One spelling for what can be spelled in several ways, so that the same wish is never seen as a change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Quantity;
use crate::kind::Kind;
use crate::meta;

/// Maps from a resource's name to a quantity.
const QUANTITY_MAPS: &[&str] =
    &["limits", "requests", "capacity", "allocatable", "allocatedResources", "overhead", "hard", "used"];
/// Fields that are a quantity.
const QUANTITIES: &[&str] = &["sizeLimit", "divisor", "averageValue"];
/// Kinds that hold any.
const WITH_QUANTITIES: &[Kind] = &[
    Kind::POD,
    Kind::DEPLOYMENT,
    Kind::REPLICA_SET,
    Kind::STATEFUL_SET,
    Kind::DAEMON_SET,
    Kind::JOB,
    Kind::CRON_JOB,
    Kind::PVC,
    Kind::PV,
    Kind::NODE,
    Kind::HPA,
    Kind::RESOURCE_QUOTA,
];

/// Respells an object, or a part of one that is applied.
pub(crate) fn canonical(kind: Kind, object: &mut Value) {
    if kind == Kind::SECRET {
        encode_strings(object);
    }
    if WITH_QUANTITIES.contains(&kind) {
        for part in ["spec", "status"] {
            if let Some(part) = object.get_mut(part) {
                quantities(part);
            }
        }
    }
}

/// `stringData` is how a Secret is written, never how it is read.
fn encode_strings(secret: &mut Value) {
    let Some(Value::Object(strings)) = meta::fields(secret).remove("stringData") else { return };
    let data = meta::fields(meta::child(secret, "data"));
    for (key, text) in strings {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(key, Value::from(encoded));
    }
}

fn quantities(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, child) in map {
                match child {
                    Value::Object(amounts) if QUANTITY_MAPS.contains(&name.as_str()) => {
                        amounts.values_mut().for_each(respell);
                    }
                    Value::String(_) | Value::Number(_) if QUANTITIES.contains(&name.as_str()) => {
                        respell(child);
                    }
                    child => quantities(child),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities),
        _ => {}
    }
}

fn respell(value: &mut Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    *value = Value::from(Quantity::parse(&text).map_or(text, |quantity| quantity.to_string()));
}
