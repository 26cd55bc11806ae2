//! Strategic merge patch: kubectl's client-side apply, `set image`, `edit`, `rollout restart`.
//!
//! The directives are those of Kubernetes' "strategic-merge-patch" document: `$patch` (replace, delete, merge),
//! `$retainKeys`, `$deleteFromPrimitiveList/<list>` and `$setElementOrder/<list>`.

use serde_json::{Map, Value};

use crate::schema::{MergeList, Place, interleave};
use crate::status::Status;

const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Patches an object.
///
/// # Errors
/// 400 when a directive is unknown or misplaced, or an item of a merged list lacks its key.
pub(crate) fn strategic(target: &mut Value, patch: &Value, place: &Place<'_>) -> Result<(), Status> {
    let (Some(map), true) = (patch.as_object(), target.is_object()) else {
        return Err(Status::bad_request("a strategic merge patch must be a JSON object"));
    };
    merge_map(as_map(target), map, place)
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    crate::meta::fields(value)
}

fn merge_map(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    place: &Place<'_>,
) -> Result<(), Status> {
    match patch.get("$patch").map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => target.clear(),
        Some(Some("delete")) => {
            target.clear();
            return Ok(());
        }
        Some(other) => {
            return Err(Status::bad_request(format!(
                "unknown patch type {other:?}: expected merge, replace or delete"
            )));
        }
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|name, _| kept.iter().any(|key| key == name));
    }
    for (name, values) in patch {
        if let (Some(list), Some(values)) = (name.strip_prefix(DELETE_FROM), values.as_array())
            && let Some(present) = target.get_mut(list).and_then(Value::as_array_mut)
        {
            present.retain(|value| !values.contains(value));
        }
    }
    for (name, wanted) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        let order = patch.get(&format!("{SET_ORDER}{name}")).and_then(Value::as_array);
        merge_field(target, name, wanted, order, &place.field(name))?;
    }
    // An order may come alone: nothing of the list changes but its order.
    for (name, order) in patch {
        if let (Some(list), Some(order)) = (name.strip_prefix(SET_ORDER), order.as_array())
            && !patch.contains_key(list)
            && let Some(Value::Array(present)) = target.get_mut(list)
        {
            reorder(present, order, place.field(list).merge_list());
        }
    }
    Ok(())
}

fn merge_field(
    target: &mut Map<String, Value>,
    name: &str,
    wanted: &Value,
    order: Option<&Vec<Value>>,
    place: &Place<'_>,
) -> Result<(), Status> {
    match wanted {
        Value::Null => _ = target.remove(name),
        Value::Object(map) => {
            let slot = target.entry(name).or_insert_with(|| Value::Object(Map::new()));
            let deleted = map.get("$patch").is_some_and(|directive| directive == "delete");
            merge_map(as_map(slot), map, place)?;
            if deleted {
                target.remove(name);
            }
        }
        Value::Array(items) => {
            let slot = target.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if !slot.is_array() {
                *slot = Value::Array(Vec::new());
            }
            if let Some(present) = slot.as_array_mut() {
                merge_list(present, items, order, place)?;
            }
        }
        scalar => _ = target.insert(name.to_owned(), scalar.clone()),
    }
    Ok(())
}

fn merge_list(
    present: &mut Vec<Value>,
    items: &[Value],
    order: Option<&Vec<Value>>,
    place: &Place<'_>,
) -> Result<(), Status> {
    let strategy = place.merge_list();
    let directive = |item: &Value| item.get("$patch").and_then(Value::as_str).map(str::to_owned);
    match strategy {
        MergeList::Replace => *present = items.iter().map(plain).collect(),
        MergeList::Primitive => {
            for item in items.iter().filter(|item| !present.contains(item)).cloned().collect::<Vec<_>>() {
                present.push(item);
            }
        }
        MergeList::By(key) => {
            if items
                .iter()
                .any(|item| directive(item).as_deref() == Some("replace") && item.get(key).is_none())
            {
                present.clear();
            }
            for item in items {
                let directive = directive(item);
                let Some(wanted) = item.get(key) else {
                    if directive.is_some() {
                        continue;
                    }
                    return Err(Status::bad_request(format!(
                        "map: {item} does not contain declared merge key: {key}"
                    )));
                };
                let at = present.iter().position(|own| own.get(key) == Some(wanted));
                let (Some(map), deleted) = (item.as_object(), directive.as_deref() == Some("delete")) else {
                    return Err(Status::bad_request(format!("{item} is no item of a list of objects")));
                };
                match (at, deleted) {
                    (Some(at), true) => _ = present.remove(at),
                    (None, true) => {}
                    (Some(at), false) => merge_map(as_map(&mut present[at]), map, place)?,
                    (None, false) => present.push(plain(item)),
                }
            }
        }
    }
    if let Some(order) = order {
        reorder(present, order, strategy);
    }
    Ok(())
}

/// The value without directives: what a patch adds as new.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, value)| !name.starts_with('$') && !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Value::Array(items) => {
            let kept = items.iter().filter(|item| item.get("$patch").is_none());
            Value::Array(kept.map(plain).collect())
        }
        scalar => scalar.clone(),
    }
}

fn reorder(present: &mut [Value], order: &[Value], strategy: MergeList) {
    let key_of = |item: &Value| match strategy {
        MergeList::By(key) => item.get(key).cloned().unwrap_or_default(),
        _ => item.clone(),
    };
    let have: Vec<Value> = present.iter().map(key_of).collect();
    let wanted: Vec<Value> = order.iter().map(key_of).filter(|key| have.contains(key)).collect();
    let sorted = interleave(&have, &wanted);
    present.sort_by_key(|item| sorted.iter().position(|key| *key == key_of(item)));
}
