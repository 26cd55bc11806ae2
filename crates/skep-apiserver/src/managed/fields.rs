//! Sets of fields, as `managedFields` writes them (FieldsV1).

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::schema::{ListType, Place};

/// A set of paths. Steps are in FieldsV1's own spelling: `f:name`, `k:{"name":"web"}`, `v:"text"`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSet {
    /// Whether this path itself is in the set.
    pub(crate) member: bool,
    pub(crate) children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// A set of only the path itself.
    pub(crate) fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    /// Whether no path is in it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Every field that is set in a value.
    pub(crate) fn of(value: &Value, place: &Place<'_>) -> Self {
        match value {
            Value::Object(map) if !map.is_empty() && !place.is_atomic_map() => {
                let child = |(name, value): (&String, &Value)| {
                    (format!("f:{name}"), Self::of(value, &place.field(name)))
                };
                Self { member: false, children: map.iter().map(child).collect() }
            }
            Value::Array(items) if !items.is_empty() => match steps(items, place) {
                Some(steps) => {
                    let mut set = Self::default();
                    for (step, item) in steps.into_iter().zip(items) {
                        let below = if item.is_object() { Self::of(item, place) } else { Self::default() };
                        set.children.insert(step, Self { member: true, ..below });
                    }
                    set
                }
                None => Self::leaf(),
            },
            _ => Self::leaf(),
        }
    }

    /// Adds all paths of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (step, below) in &other.children {
            self.children.entry(step.clone()).or_default().add(below);
        }
    }

    /// Takes away exactly the paths of another set.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (step, below) in &other.children {
            if let Some(own) = self.children.get_mut(step) {
                own.subtract(below);
            }
        }
        self.children.retain(|_, below| !below.is_empty());
    }

    /// Takes away the paths of another set, and everything below them.
    pub(crate) fn cut(&mut self, other: &Self) {
        for (step, below) in &other.children {
            if below.member {
                self.children.remove(step);
            } else if let Some(own) = self.children.get_mut(step) {
                own.cut(below);
            }
        }
        self.children.retain(|_, below| !below.is_empty());
    }

    /// Takes out the field of that name and everything below it.
    pub(crate) fn forget(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let step = format!("f:{first}");
        if rest.is_empty() {
            self.children.remove(&step);
        } else if let Some(below) = self.children.get_mut(&step) {
            below.forget(rest);
            if below.is_empty() {
                self.children.remove(&step);
            }
        }
    }

    /// The paths that both sets have, as `.spec.containers[name="web"].image`.
    pub(crate) fn common(&self, other: &Self, path: &str, found: &mut Vec<String>) {
        if self.member && other.member {
            found.push(path.to_owned());
        }
        for (step, below) in &self.children {
            if let Some(others) = other.children.get(step) {
                below.common(others, &format!("{path}{}", shown(step)), found);
            }
        }
    }

    /// FieldsV1.
    pub(crate) fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        map.extend(self.children.iter().map(|(step, below)| (step.clone(), below.to_value())));
        Value::Object(map)
    }

    /// Reads FieldsV1. `top`: the object itself is no member, even if nothing is below it.
    pub(crate) fn from_value(value: &Value, top: bool) -> Self {
        let Some(map) = value.as_object() else { return Self::default() };
        let children: BTreeMap<String, Self> = map
            .iter()
            .filter(|(step, _)| *step != ".")
            .map(|(step, below)| (step.clone(), Self::from_value(below, false)))
            .collect();
        Self { member: map.contains_key(".") || (children.is_empty() && !top), children }
    }
}

/// How the items of a list are told apart; none when the list is one value, or its items lack their keys.
pub(crate) fn steps(items: &[Value], place: &Place<'_>) -> Option<Vec<String>> {
    match place.list_type() {
        ListType::Atomic => None,
        ListType::Set => Some(items.iter().map(|item| format!("v:{item}")).collect()),
        ListType::Map(keys) => items
            .iter()
            .map(|item| {
                let mut fields = Vec::with_capacity(keys.len());
                for key in keys {
                    let value = item.get(key.name).cloned().or_else(|| key.default.map(Value::from))?;
                    fields.push(format!("{}:{value}", Value::from(key.name)));
                }
                Some(format!("k:{{{}}}", fields.join(",")))
            })
            .collect(),
    }
}

/// The first item that a list has twice, as `.spec.ports: duplicate entries for key [port=80,protocol="TCP"]`.
pub(super) fn duplicate(value: &Value, place: &Place<'_>, path: &str) -> Option<String> {
    match value {
        Value::Object(map) if !place.is_atomic_map() => map
            .iter()
            .find_map(|(name, child)| duplicate(child, &place.field(name), &format!("{path}.{name}"))),
        Value::Array(items) => {
            let steps = steps(items, place)?;
            let mut seen = HashSet::new();
            let twice = steps.iter().find(|step| !seen.insert(step.as_str()));
            if let Some(step) = twice {
                return Some(format!("{path}: duplicate entries for key {}", shown(step)));
            }
            let mut both = steps.iter().zip(items);
            both.find_map(|(step, item)| duplicate(item, place, &format!("{path}{}", shown(step))))
        }
        _ => None,
    }
}

/// A step as messages show it: `.image`, `[name="web"]`.
fn shown(step: &str) -> String {
    match step.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let each: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", each.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        Some((_, index)) => format!("[{index}]"),
        None => step.to_owned(),
    }
}
