//! Reading and writing `metadata` and other fields of objects that stay JSON.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The string at a JSON pointer.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// The whole number at a JSON pointer.
pub(crate) fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The list at a JSON pointer; empty when there is none.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `metadata.name`; empty when there is none.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name").unwrap_or_default()
}

/// `metadata.namespace`, unless empty.
pub(crate) fn namespace(object: &Value) -> Option<&str> {
    text(object, "/metadata/namespace").filter(|namespace| !namespace.is_empty())
}

/// `metadata.uid`, unless empty.
pub(crate) fn uid(object: &Value) -> Option<&str> {
    text(object, "/metadata/uid").filter(|uid| !uid.is_empty())
}

/// `metadata.resourceVersion` as sent, unless empty.
pub(crate) fn resource_version(object: &Value) -> Option<&str> {
    text(object, "/metadata/resourceVersion").filter(|version| !version.is_empty())
}

/// Whether deletion has begun.
pub(crate) fn is_deleting(object: &Value) -> bool {
    text(object, "/metadata/deletionTimestamp").is_some()
}

/// Whether a finalizer keeps the object.
pub(crate) fn has_finalizers(object: &Value) -> bool {
    !list(object, "/metadata/finalizers").is_empty()
}

/// The object's fields. An object that isn't a JSON object becomes an empty one: the edge has refused it before.
pub(crate) fn fields(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { unreachable!("an object was put there") };
    map
}

/// The map under a key, made if it is missing.
pub(crate) fn child<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    let slot = fields(value).entry(key).or_insert_with(|| Value::Object(Map::new()));
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot
}

/// `metadata`'s fields, made if they are missing.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    fields(child(object, "metadata"))
}

/// Sets one field of `metadata`, or removes it.
pub(crate) fn set(object: &mut Value, key: &str, value: Option<Value>) {
    let metadata = metadata(object);
    match value {
        Some(value) => _ = metadata.insert(key.to_owned(), value),
        None => _ = metadata.remove(key),
    }
}

/// Drops every null in maps: to Kubernetes a null field is an absent one.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, child| !child.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The time as objects carry it: RFC 3339 with whole seconds.
pub(crate) fn now() -> String {
    seconds(skep_ambient::now())
}

/// A time as objects carry it: RFC 3339 with whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
