//! Reading and stamping Kubernetes objects kept as JSON values.
//!
//! Hive keeps one shared copy of each object and reads it through these functions, so that no typed twin of the
//! whole store has to live beside it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The string at a JSON pointer, or "" where there is none: Kubernetes treats both the same.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The integer at a JSON pointer.
pub(crate) fn integer(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The boolean at a JSON pointer, false where there is none.
pub(crate) fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// The array at a JSON pointer, empty where there is none.
pub(crate) fn array<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The map at a JSON pointer.
pub(crate) fn map<'a>(object: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    object.pointer(pointer).and_then(Value::as_object)
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// An annotation's value, "" where there is none.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    map(object, "/metadata/annotations")
        .and_then(|all| all.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A label's value.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    map(object, "/metadata/labels").and_then(|all| all.get(key)).and_then(Value::as_str)
}

/// Whether the object is on its way out: `metadata.deletionTimestamp` is set.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

pub(crate) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    array(object, "/metadata/finalizers").iter().any(|one| one.as_str() == Some(finalizer))
}

/// The finalizers without one of them, as a merge patch's list.
pub(crate) fn finalizers_without(object: &Value, finalizer: &str) -> Vec<Value> {
    array(object, "/metadata/finalizers")
        .iter()
        .filter(|one| one.as_str() != Some(finalizer))
        .cloned()
        .collect()
}

/// A time at a JSON pointer; an unreadable one counts as absent.
pub(crate) fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// A time as Kubernetes' `Time` is written: RFC 3339, whole seconds.
pub(crate) fn stamp(at: Timestamp) -> Value {
    Value::String(seconds(at).to_string())
}

fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// When the object was created; the epoch where that is not known, so that it sorts first.
pub(crate) fn created(object: &Value) -> Timestamp {
    time(object, "/metadata/creationTimestamp").unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The order in which controllers look at siblings: older first, then by name.
pub(crate) fn by_age(a: &Value, b: &Value) -> std::cmp::Ordering {
    created(a).cmp(&created(b)).then_with(|| name(a).cmp(name(b)))
}

/// The owner that controls the object (`controller: true`), if any.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    array(object, "/metadata/ownerReferences").iter().find(|owner| flag(owner, "/controller"))
}

/// Whether `owner` (by UID, never by name: a re-created owner must not inherit children) controls the object.
pub(crate) fn is_controlled_by(object: &Value, owner: &str) -> bool {
    controller(object).is_some_and(|found| text(found, "/uid") == owner)
}

/// The owner reference that makes `owner` the controller of whatever carries it.
pub(crate) fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, "/apiVersion"),
        "kind": text(owner, "/kind"),
        "name": name(owner),
        "uid": uid(owner),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A condition of `status.conditions` by its type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    condition_in(array(object, "/status/conditions"), kind)
}

pub(crate) fn condition_in<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|one| text(one, "/type") == kind)
}

pub(crate) fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|found| text(found, "/status") == "True")
}

/// A reference to the object as events carry it (`involvedObject`, `targetRef`).
pub(crate) fn reference(object: &Value) -> Value {
    let mut reference = json!({
        "apiVersion": text(object, "/apiVersion"),
        "kind": text(object, "/kind"),
        "name": name(object),
        "uid": uid(object),
    });
    if !namespace(object).is_empty() {
        reference["namespace"] = Value::from(namespace(object));
    }
    reference
}

/// A copy of the value without nulls and empty maps: what two spellings of the same object have in common.
pub(crate) fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, field)| (key.clone(), normal(field)))
                .filter(|(_, field)| {
                    !field.is_null() && field.as_object().is_none_or(|inner| !inner.is_empty())
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        other => other.clone(),
    }
}

/// A short hash of a value in the alphabet that Kubernetes uses for generated names (no vowels, no look-alikes).
///
/// Depends on the value alone, not on the order in which its keys were written.
pub(crate) fn hash(value: &Value, salt: i64) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut state = Fnv::default();
    feed(value, &mut state);
    state.write(&salt.to_le_bytes());
    let mut rest = state.0;
    (0..10)
        .map(|_| {
            let letter = ALPHABET[(rest % 27) as usize];
            rest /= 27;
            char::from(letter)
        })
        .collect()
}

/// FNV-1a, 64 bits: stable over releases of Rust and of Skep, which the standard library's hasher is not.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn feed(value: &Value, state: &mut Fnv) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<_> = fields.keys().collect();
            keys.sort_unstable();
            state.write(b"{");
            for key in keys {
                state.write(key.as_bytes());
                state.write(b":");
                feed(&fields[key], state);
            }
            state.write(b"}");
        }
        Value::Array(items) => {
            state.write(b"[");
            items.iter().for_each(|item| {
                feed(item, state);
                state.write(b",");
            });
            state.write(b"]");
        }
        other => state.write(other.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_form_ignores_nulls_and_empty_maps() {
        let wordy = json!({"metadata": {"creationTimestamp": null, "labels": {"a": "b"}}, "spec": {"securityContext": {}}});
        assert_eq!(normal(&wordy), json!({"metadata": {"labels": {"a": "b"}}}));
    }

    #[test]
    fn hash_depends_on_contents_and_salt_only() {
        let one = json!({"a": 1, "b": [1, 2]});
        assert_eq!(hash(&one, 0), hash(&json!({"b": [1, 2], "a": 1}), 0));
        assert_ne!(hash(&one, 0), hash(&one, 1));
        assert_ne!(hash(&one, 0), hash(&json!({"a": 1, "b": [2, 1]}), 0));
        assert_eq!(hash(&one, 0).len(), 10);
    }

    #[test]
    fn times_are_whole_seconds() {
        let at: Timestamp = "2026-11-23T05:30:46.75Z".parse().unwrap();
        assert_eq!(stamp(at), "2026-11-23T05:30:46Z");
    }
}
