//! Laying an applied configuration over a live object, and taking out what its manager has let go of.

use serde_json::Value;

use super::fields::{FieldSet, steps};
use crate::schema::{Place, interleave};

/// Lays `config` over `live`: what it names is set, what it does not name stays.
pub(super) fn lay_over(live: &mut Value, config: &Value, place: &Place<'_>) {
    match (live, config) {
        (Value::Object(live), Value::Object(config)) if !place.is_atomic_map() => {
            for (name, wanted) in config {
                match live.get_mut(name) {
                    Some(present) => lay_over(present, wanted, &place.field(name)),
                    None => _ = live.insert(name.clone(), wanted.clone()),
                }
            }
        }
        (Value::Array(live), Value::Array(config)) => {
            let (Some(present), Some(wanted)) = (steps(live, place), steps(config, place)) else {
                live.clone_from(config);
                return;
            };
            let merged = interleave(&present, &wanted).into_iter().filter_map(|step| {
                let own = present.iter().position(|other| *other == step).map(|at| live[at].clone());
                let new = wanted.iter().position(|other| *other == step).map(|at| &config[at]);
                match (own, new) {
                    (Some(mut own), Some(new)) => {
                        lay_over(&mut own, new, place);
                        Some(own)
                    }
                    (Some(own), None) => Some(own),
                    (None, new) => new.cloned(),
                }
            });
            *live = merged.collect();
        }
        (live, config) => *live = config.clone(),
    }
}

/// Takes out every field that `last` names (or that is a parent of such) when nothing at it or below it is in `keep`.
/// So a probe that is applied no more goes with the defaults that were filled into it.
pub(super) fn prune(value: &mut Value, last: &FieldSet, keep: &FieldSet, place: &Place<'_>) {
    let nothing = FieldSet::default();
    match value {
        Value::Object(map) if !place.is_atomic_map() => {
            for (step, below) in &last.children {
                let Some(name) = step.strip_prefix("f:") else { continue };
                let kept = keep.children.get(step).unwrap_or(&nothing);
                if kept.is_empty() {
                    map.remove(name);
                } else if let Some(child) = map.get_mut(name) {
                    prune(child, below, kept, &place.field(name));
                }
            }
        }
        Value::Array(items) => {
            let Some(names) = steps(items, place) else { return };
            let mut names = names.into_iter();
            items.retain_mut(|item| {
                let Some(step) = names.next() else { return true };
                let Some(below) = last.children.get(&step) else { return true };
                let kept = keep.children.get(&step).unwrap_or(&nothing);
                if kept.is_empty() && below.member {
                    return false;
                }
                prune(item, below, kept, place);
                true
            });
        }
        _ => {}
    }
}
