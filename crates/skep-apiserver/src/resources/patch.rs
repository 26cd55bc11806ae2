//! PATCH, in its four ways.

use std::sync::Arc;

use serde_json::Value;

use super::lifecycle::Ownership;
use super::{Patch, Resources, Subresource, WriteOptions, Written, acknowledged};
use crate::decode;
use crate::kind::Key;
use crate::meta;
use crate::patch;
use crate::schema::Place;
use crate::status::Status;
use crate::store::Synced;

impl Resources {
    pub(crate) async fn patch_with(
        &self,
        key: &Key,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        if options.subresource == Some(Subresource::Scale) {
            return self.patch_scale(key, patch, options).await;
        }
        let (written, synced) = match patch {
            Patch::Apply(config) => self.apply_now(key, config, options)?,
            _ => self.patch_now(key, patch, options)?,
        };
        acknowledged(written, synced).await
    }

    fn patch_now(
        &self,
        key: &Key,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<(Written, Synced), Status> {
        let turn = self.store.turn();
        let live = self.existing(key)?;
        let mut object = patched(key, &live, patch)?;
        meta::drop_nulls(&mut object);
        check_identity(key, &object)?;
        let warnings = decode::check(key.kind, &mut object, options.validation)?;
        let (written, synced) =
            self.replace(&turn, key.clone(), &live, object, options, Ownership::Update)?;
        Ok((Written { warnings, ..written }, synced))
    }
}

/// The object after the patch, before the rules.
pub(super) fn patched(key: &Key, live: &Arc<Value>, patch: &Patch) -> Result<Value, Status> {
    let mut object = (**live).clone();
    match patch {
        Patch::Merge(patch) => patch::merge(&mut object, patch),
        Patch::Json(patch) => patch::json(&mut object, patch)?,
        Patch::Strategic(patch) => patch::strategic(&mut object, patch, &Place::root(key.kind))?,
        Patch::Apply(_) => {
            return Err(Status::bad_request("an apply patch needs the object's own endpoint"));
        }
    }
    if !object.is_object() {
        let name = key.kind.name();
        return Err(Status::bad_request(format!(
            "the patch leaves no {name}: the result must be a JSON object"
        )));
    }
    Ok(object)
}

/// A patch may not make another object of it.
fn check_identity(key: &Key, object: &Value) -> Result<(), Status> {
    let name = meta::name(object);
    if name != key.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    let namespace = meta::namespace(object);
    if namespace != key.namespace.as_deref() {
        return Err(Status::bad_request(format!(
            "the namespace of the object ({}) does not match the namespace on the URL ({})",
            namespace.unwrap_or_default(),
            key.namespace.as_deref().unwrap_or_default()
        )));
    }
    Ok(())
}
