//! Server-side apply: the patch that also creates.

use serde_json::Value;

use super::lifecycle::Ownership;
use super::{Resources, Subresource, WriteOptions, Written};
use crate::decode;
use crate::kind::Key;
use crate::managed;
use crate::meta;
use crate::status::{Cause, Status};
use crate::store::Synced;

impl Resources {
    pub(super) fn apply_now(
        &self,
        key: &Key,
        config: &Value,
        options: &WriteOptions,
    ) -> Result<(Written, Synced), Status> {
        let mut config = config.clone();
        let warnings = prepare(key, &mut config, options)?;
        let kind = key.kind;
        let (manager, part) = (options.manager.as_str(), options.subresource);
        loop {
            let turn = self.store.turn();
            let live = self.store.get(kind, key.namespace.as_deref(), &key.name);
            let Some(live) = live else {
                drop(turn);
                if part.is_some() {
                    return Err(Status::not_found(&kind.resource(), &key.name));
                }
                if let Some(why) = kind.info().refused {
                    return Err(super::create::refused(kind, &config, why));
                }
                check_new(key, &config)?;
                let applied = managed::apply(kind, None, &config, manager, part, options.force)?;
                let ownership = Ownership::Applied(applied.entries);
                match self.admit(kind, applied.object, warnings.clone(), options, ownership) {
                    // Somebody else was quicker: apply to what they made.
                    Err(status) if status.is_already_exists() => continue,
                    result => return result,
                }
            };
            let applied = managed::apply(kind, Some(&live), &config, manager, part, options.force)?;
            let ownership = Ownership::Applied(applied.entries);
            let (written, synced) =
                self.replace(&turn, key.clone(), &live, applied.object, options, ownership)?;
            return Ok((Written { warnings, ..written }, synced));
        }
    }
}

/// Checks the configuration, and leaves of it what may be applied.
fn prepare(key: &Key, config: &mut Value, options: &WriteOptions) -> Result<Vec<String>, Status> {
    if options.manager.is_empty() {
        return Err(Status::invalid(
            "PatchOptions.meta.k8s.io",
            "",
            vec![Cause {
                reason: "FieldValueRequired",
                message: "Required value: is required for apply patch".to_owned(),
                field: "fieldManager".to_owned(),
            }],
        ));
    }
    if !config.is_object() {
        return Err(Status::bad_request("the applied configuration must be an object"));
    }
    meta::drop_nulls(config);
    let (api_version, kind) = (key.kind.api_version(), key.kind.name());
    let sent = |pointer| meta::text(config, pointer).unwrap_or_default();
    if sent("/apiVersion") != api_version || sent("/kind") != kind {
        return Err(Status::bad_request(format!(
            "the applied configuration is a {} {}, expected {api_version} {kind}",
            sent("/apiVersion"),
            sent("/kind")
        )));
    }
    if config.pointer("/metadata/managedFields").is_some_and(|list| *list != serde_json::json!([])) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    for (field, wanted) in [("name", Some(key.name.as_str())), ("namespace", key.namespace.as_deref())] {
        let sent = meta::text(config, &format!("/metadata/{field}")).filter(|text| !text.is_empty());
        if let (Some(sent), Some(wanted)) = (sent, wanted)
            && sent != wanted
        {
            return Err(Status::bad_request(format!(
                "the {field} of the object ({sent}) does not match the {field} on the URL ({wanted})"
            )));
        }
        meta::set(config, field, wanted.map(Value::from));
    }
    meta::set(config, "managedFields", None);
    let warnings = decode::check(key.kind, config, options.validation)?;
    if key.kind.info().subresources.status {
        let fields = meta::fields(config);
        if options.subresource == Some(Subresource::Status) {
            fields.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
            meta::metadata(config).retain(|name, _| matches!(name.as_str(), "name" | "namespace" | "uid"));
        } else {
            fields.remove("status");
        }
    }
    Ok(warnings)
}

/// A configuration that names the uid or version of an object means one that exists.
fn check_new(key: &Key, config: &Value) -> Result<(), Status> {
    if let Some(uid) = meta::uid(config) {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Status::conflict(&key.kind.resource(), &key.name, &why));
    }
    if meta::resource_version(config).is_some() {
        return Err(Status::conflict(
            &key.kind.resource(),
            &key.name,
            "a resourceVersion was given for an object that does not exist",
        ));
    }
    Ok(())
}
