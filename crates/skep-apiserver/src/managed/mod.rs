//! Who owns which field: `metadata.managedFields`, server-side apply, and what plain writes do to ownership.
//!
//! The rules are those of Kubernetes' structured-merge-diff. A manager is a name with an operation and a subresource; a
//! set of fields belongs to each. Apply replaces its manager's set with what was sent; any other write adds what it
//! changed to its manager's set and takes it from everyone else's.

mod diff;
mod fields;
mod merge;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::meta;
use crate::resources::Subresource;
use crate::schema::Place;
use crate::status::{Cause, Status};
use diff::Difference;
use fields::FieldSet;

/// Fields that nobody owns: the server sets them, or they name the object.
const UNOWNED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "generateName"],
    &["metadata", "uid"],
    &["metadata", "creationTimestamp"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
    &["metadata", "generation"],
    &["metadata", "resourceVersion"],
    &["metadata", "managedFields"],
    &["metadata", "selfLink"],
];

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
struct Owner {
    manager: String,
    operation: &'static str,
    api_version: String,
    subresource: String,
    time: Option<String>,
    fields: FieldSet,
}

impl Owner {
    fn read(entry: &Value) -> Option<Self> {
        let word = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match entry.get("operation").and_then(Value::as_str)? {
            "Apply" => "Apply",
            _ => "Update",
        };
        Some(Self {
            manager: word("manager"),
            operation,
            api_version: word("apiVersion"),
            subresource: word("subresource"),
            time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
            fields: FieldSet::from_value(entry.get("fieldsV1")?, true),
        })
    }

    fn to_value(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_value(),
        });
        if let Some(time) = &self.time {
            entry["time"] = Value::from(time.as_str());
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = Value::from(self.subresource.as_str());
        }
        entry
    }

    fn is(&self, manager: &str, operation: &str, subresource: &str) -> bool {
        self.manager == manager && self.operation == operation && self.subresource == subresource
    }

    /// As conflicts name it.
    fn shown(&self) -> String {
        let mut text = format!("\"{}\"", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource \"{}\"", self.subresource));
        }
        if self.operation == "Update" {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

fn owners(entries: Option<&Value>) -> Vec<Owner> {
    let entries = entries.and_then(Value::as_array);
    entries.map(|list| list.iter().filter_map(Owner::read).collect()).unwrap_or_default()
}

fn entries(mut owners: Vec<Owner>) -> Option<Value> {
    owners.retain(|owner| !owner.fields.is_empty());
    owners.sort_by(|a, b| (a.operation, &a.time, &a.manager).cmp(&(b.operation, &b.time, &b.manager)));
    if owners.is_empty() { None } else { Some(owners.iter().map(Owner::to_value).collect()) }
}

fn part_name(part: Option<Subresource>) -> &'static str {
    match part {
        None => "",
        Some(Subresource::Status) => "status",
        Some(Subresource::Scale) => "scale",
    }
}

fn without_unowned(mut set: FieldSet) -> FieldSet {
    UNOWNED.iter().for_each(|path| set.forget(path));
    set
}

/// `managedFields` after a write that isn't an apply. When the writer has rewritten `managedFields` itself, what it wrote
/// is the start; an empty list or entry lets go of everything.
pub(crate) fn after_update(
    kind: Kind,
    object: &Value,
    live: Option<&Value>,
    manager: &str,
    part: Option<Subresource>,
) -> Option<Value> {
    let place = Place::root(kind);
    let before = live.and_then(|live| live.pointer("/metadata/managedFields"));
    let sent = object.pointer("/metadata/managedFields");
    let reset = sent.is_some_and(|list| *list == json!([]) || *list == json!([{}]));
    if reset && before.is_some() {
        return None;
    }
    let base = if live.is_some() { sent.or(before) } else { None };
    let nothing = json!({});
    let mut difference = Difference::between(live.unwrap_or(&nothing), object, &place);
    difference.written = without_unowned(difference.written);
    difference.removed = without_unowned(difference.removed);
    if difference.written.is_empty() && difference.removed.is_empty() {
        return base.cloned();
    }
    let part = part_name(part);
    let version = kind.api_version();
    let mut owners = owners(base);
    for owner in &mut owners {
        owner.fields.cut(&difference.removed);
        if !(owner.is(manager, "Update", part) && owner.api_version == version) {
            owner.fields.subtract(&difference.written);
        }
    }
    let own = owners.iter_mut().find(|o| o.is(manager, "Update", part) && o.api_version == version);
    match own {
        Some(own) => {
            own.fields.add(&difference.written);
            own.time = Some(meta::now());
        }
        None => owners.push(Owner {
            manager: manager.to_owned(),
            operation: "Update",
            api_version: version,
            subresource: part.to_owned(),
            time: Some(meta::now()),
            fields: difference.written,
        }),
    }
    entries(owners)
}

/// What server-side apply leads to.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The object, before defaults.
    pub(crate) object: Value,
    /// Its `managedFields`.
    pub(crate) entries: Option<Value>,
}

/// Applies a configuration.
///
/// # Errors
/// 409 when a field with another value belongs to another manager, unless `force`; 400 when a list has an item twice.
pub(crate) fn apply(
    kind: Kind,
    live: Option<&Value>,
    config: &Value,
    manager: &str,
    part: Option<Subresource>,
    force: bool,
) -> Result<Applied, Status> {
    let place = Place::root(kind);
    if let Some(twice) = fields::duplicate(config, &place, "") {
        let names = format!(
            "{}/{}; {}",
            meta::namespace(config).unwrap_or_default(),
            meta::name(config),
            kind.resource()
        );
        return Err(Status::bad_request(format!("failed to create typed patch object ({names}): {twice}")));
    }
    let wanted = without_unowned(FieldSet::of(config, &place));
    let part = part_name(part);
    let mut owner = Owner {
        manager: manager.to_owned(),
        operation: "Apply",
        api_version: kind.api_version(),
        subresource: part.to_owned(),
        time: Some(meta::now()),
        fields: wanted,
    };
    let Some(live) = live else {
        return Ok(Applied { object: config.clone(), entries: entries(vec![owner]) });
    };
    let before = live.pointer("/metadata/managedFields");
    let mut others = owners(before);
    if others.is_empty() {
        others.push(before_first_apply(kind, live, &place));
    }
    let last = others.iter().position(|o| o.is(manager, "Apply", part)).map(|at| others.remove(at));

    let mut object = live.clone();
    merge::lay_over(&mut object, config, &place);
    let written = without_unowned(Difference::between(live, &object, &place).written);
    let conflicts = conflicts(&others, &written);
    if !conflicts.is_empty() && !force {
        return Err(conflict_status(kind, live, &conflicts));
    }
    others.iter_mut().for_each(|other| other.fields.subtract(&written));

    if let Some(last) = &last {
        let mut keep = owner.fields.clone();
        others.iter().for_each(|other| keep.add(&other.fields));
        merge::prune(&mut object, &last.fields, &keep, &place);
    }
    let removed = Difference::between(live, &object, &place).removed;
    others.iter_mut().for_each(|other| other.fields.cut(&removed));

    if object == *live
        && let Some(last) = last
        && last.fields == owner.fields
    {
        owner.time = last.time;
        if before.is_some() {
            return Ok(Applied { object, entries: before.cloned() });
        }
    }
    others.push(owner);
    Ok(Applied { object, entries: entries(others) })
}

/// An object without any owner was made before anybody applied: one owner of all of it stands for who made it.
fn before_first_apply(kind: Kind, live: &Value, place: &Place<'_>) -> Owner {
    Owner {
        manager: "before-first-apply".to_owned(),
        operation: "Update",
        api_version: kind.api_version(),
        subresource: String::new(),
        time: Some(meta::now()),
        fields: without_unowned(FieldSet::of(live, place)),
    }
}

/// Fields that the write changes and that others own: the owner's name and the path.
fn conflicts(others: &[Owner], written: &FieldSet) -> Vec<(String, String)> {
    let mut conflicts = Vec::new();
    for other in others {
        let mut paths = Vec::new();
        other.fields.common(written, "", &mut paths);
        conflicts.extend(paths.into_iter().map(|path| (other.shown(), path)));
    }
    conflicts.sort();
    conflicts
}

fn conflict_status(kind: Kind, live: &Value, conflicts: &[(String, String)]) -> Status {
    let message = match conflicts {
        [(owner, path)] => format!("Apply failed with 1 conflict: conflict with {owner}: {path}"),
        _ => {
            let mut lines = Vec::new();
            let mut last = None;
            for (owner, path) in conflicts {
                if last != Some(owner) {
                    lines.push(format!("conflicts with {owner}:"));
                    last = Some(owner);
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
        }
    };
    let mut status = Status::conflict(&kind.resource(), meta::name(live), "");
    status.message = message;
    for (owner, path) in conflicts {
        status = status.with_cause(Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {owner}"),
            field: path.clone(),
        });
    }
    status
}
