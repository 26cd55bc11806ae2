//! What holds for every object through its life, whichever verb brings the change.

use serde_json::{Value, json};

use super::{Subresource, WriteOptions};
use crate::kind::{Key, Kind};
use crate::managed;
use crate::meta;
use crate::status::{Cause, Status};
use crate::validate::Causes;

/// How the number of a DaemonSet's template is called since it has no field any more.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// How a write shows in `managedFields`.
#[derive(Debug)]
pub(super) enum Ownership {
    /// The writer comes to own every field that it changed.
    Update,
    /// Server-side apply has worked it out: the entries to store.
    Applied(Option<Value>),
}

impl Ownership {
    /// Writes `managedFields`.
    pub(super) fn record(self, kind: Kind, object: &mut Value, live: Option<&Value>, options: &WriteOptions) {
        let entries = match self {
            Self::Update => managed::after_update(kind, object, live, &options.manager, options.subresource),
            Self::Applied(entries) => entries,
        };
        meta::set(object, "managedFields", entries);
    }
}

/// Gives a new object what only the server gives.
pub(super) fn begin(kind: Kind, object: &mut Value) {
    meta::fields(object).insert("apiVersion".to_owned(), Value::from(kind.api_version()));
    meta::fields(object).insert("kind".to_owned(), Value::from(kind.name()));
    if kind.info().subresources.status {
        meta::fields(object).remove("status");
    }
    let metadata = meta::metadata(object);
    for key in
        ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"]
    {
        metadata.remove(key);
    }
    metadata.insert("uid".to_owned(), Value::from(skep_ambient::uuid().to_string()));
    metadata.insert("creationTimestamp".to_owned(), Value::from(meta::now()));
    if kind.info().generation {
        metadata.insert("generation".to_owned(), Value::from(1));
    }
    if kind == Kind::DAEMON_SET {
        number_template(object, 1);
    }
}

/// A DaemonSet's template has a number of its own, which its pods carry as a label.
fn number_template(set: &mut Value, number: i64) {
    let annotations = meta::child(meta::child(set, "metadata"), "annotations");
    meta::fields(annotations).insert(TEMPLATE_GENERATION.to_owned(), Value::from(number.to_string()));
}

/// Takes over from the live object what this write may not touch.
pub(super) fn carry_over(kind: Kind, live: &Value, object: &mut Value, part: Option<Subresource>) {
    if part == Some(Subresource::Status) {
        let status = object.get("status").cloned();
        let managed = object.pointer("/metadata/managedFields").cloned();
        *object = live.clone();
        match status {
            Some(status) => _ = meta::fields(object).insert("status".to_owned(), status),
            None => _ = meta::fields(object).remove("status"),
        }
        if managed.is_some() {
            meta::set(object, "managedFields", managed);
        }
        return;
    }
    meta::fields(object).insert("apiVersion".to_owned(), Value::from(kind.api_version()));
    meta::fields(object).insert("kind".to_owned(), Value::from(kind.name()));
    if kind.info().subresources.status {
        match live.get("status") {
            Some(status) => _ = meta::fields(object).insert("status".to_owned(), status.clone()),
            None => _ = meta::fields(object).remove("status"),
        }
    }
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
        "generateName",
    ] {
        meta::set(object, key, live["metadata"].get(key).cloned());
    }
    for key in ["finalizers", "ownerReferences", "labels", "annotations"] {
        let empty = match object["metadata"].get(key) {
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            _ => false,
        };
        if empty && live["metadata"].get(key).is_none() {
            meta::set(object, key, None);
        }
    }
}

/// Counts a change of the wish: anything outside of metadata and status.
pub(super) fn count_generation(kind: Kind, live: &Value, object: &mut Value) {
    if !kind.info().generation {
        return;
    }
    let wish = |value: &Value| {
        let mut fields = value.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        fields.remove("status");
        fields
    };
    if wish(live) != wish(object) {
        let generation = meta::number(live, "/metadata/generation").unwrap_or(0) + 1;
        meta::set(object, "generation", Some(Value::from(generation)));
    }
    if kind == Kind::DAEMON_SET {
        let number = live["metadata"]["annotations"][TEMPLATE_GENERATION].as_str();
        let number: i64 = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        let is_new = live.pointer("/spec/template") != object.pointer("/spec/template");
        number_template(object, number + i64::from(is_new));
    }
}

/// Fails when the live object is not the one that the writer means.
pub(super) fn check_preconditions(
    key: &Key,
    live: &Value,
    uid: Option<&str>,
    version: Option<&str>,
) -> Result<(), Status> {
    let resource = key.kind.resource();
    if let (Some(wanted), Some(found)) = (uid, meta::uid(live))
        && wanted != found
    {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
        return Err(Status::conflict(&resource, &key.name, &why));
    }
    if let (Some(wanted), Some(found)) = (version, meta::resource_version(live))
        && wanted != found
    {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Status::conflict(&resource, &key.name, why));
    }
    Ok(())
}

/// 422 with every reason why an object, or its change, is wrong.
pub(super) fn validate(kind: Kind, object: &Value, live: Option<&Value>) -> Result<(), Status> {
    let mut causes = Causes::default();
    crate::validate::metadata(kind, object, live, &mut causes);
    (kind.0.rules.validate)(object, &mut causes);
    if let Some(live) = live {
        (kind.0.rules.validate_update)(object, live, &mut causes);
    }
    causes.into_result(&kind.qualified(), meta::name(object))
}

/// 422: neither a name nor a prefix for one.
pub(super) fn name_required(kind: Kind) -> Status {
    Status::invalid(
        &kind.qualified(),
        "",
        vec![Cause {
            reason: "FieldValueRequired",
            message: "Required value: name or generateName is required".to_owned(),
            field: "metadata.name".to_owned(),
        }],
    )
}

/// A namespace goes only when `spec.finalizers` is empty, whatever its metadata says.
pub(super) fn is_terminating_namespace(kind: Kind, object: &Value) -> bool {
    kind == Kind::NAMESPACE && object.pointer("/spec/finalizers").is_some_and(|list| *list != json!([]))
}
