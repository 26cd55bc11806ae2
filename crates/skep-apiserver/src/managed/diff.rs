//! What a write changed, as sets of fields.

use serde_json::Value;

use super::fields::{FieldSet, steps};
use crate::schema::Place;

/// The difference between two states of an object.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Fields that are new or have another value.
    pub(super) written: FieldSet,
    /// Fields that are gone, each standing for all below it.
    pub(super) removed: FieldSet,
}

impl Difference {
    pub(super) fn between(old: &Value, new: &Value, place: &Place<'_>) -> Self {
        if old == new {
            return Self::default();
        }
        match (old, new) {
            (Value::Object(before), Value::Object(after)) if !place.is_atomic_map() => {
                let mut difference = Self::default();
                if after.is_empty() {
                    difference.written.member = true;
                }
                for (name, value) in after {
                    let step = format!("f:{name}");
                    match before.get(name) {
                        Some(old) => difference.put(step, Self::between(old, value, &place.field(name))),
                        None => {
                            difference.written.children.insert(step, FieldSet::of(value, &place.field(name)));
                        }
                    }
                }
                for name in before.keys().filter(|name| !after.contains_key(*name)) {
                    difference.removed.children.insert(format!("f:{name}"), FieldSet::leaf());
                }
                difference
            }
            (Value::Array(before), Value::Array(after)) => {
                match (steps(before, place), steps(after, place)) {
                    (Some(old), Some(new)) => Self::of_items(before, &old, after, &new, place),
                    _ => Self { written: FieldSet::leaf(), removed: FieldSet::default() },
                }
            }
            _ => Self { written: FieldSet::of(new, place), removed: FieldSet::default() },
        }
    }

    fn of_items(
        before: &[Value],
        old: &[String],
        after: &[Value],
        new: &[String],
        place: &Place<'_>,
    ) -> Self {
        let mut difference = Self::default();
        for (step, value) in new.iter().zip(after) {
            match old.iter().position(|other| other == step) {
                Some(at) => difference.put(step.clone(), Self::between(&before[at], value, place)),
                None => {
                    let below =
                        if value.is_object() { FieldSet::of(value, place) } else { FieldSet::default() };
                    let item = FieldSet { member: true, ..below };
                    difference.written.children.insert(step.clone(), item);
                }
            }
        }
        for step in old.iter().filter(|step| !new.contains(step)) {
            difference.removed.children.insert(step.clone(), FieldSet::leaf());
        }
        difference
    }

    fn put(&mut self, step: String, below: Self) {
        if !below.removed.is_empty() {
            self.removed.children.insert(step.clone(), below.removed);
        }
        if !below.written.is_empty() {
            self.written.children.insert(step, below.written);
        }
    }
}
