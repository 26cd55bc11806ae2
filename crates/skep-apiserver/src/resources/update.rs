//! PUT, and the common end of every change to an existing object.

use std::sync::Arc;

use serde_json::Value;

use super::lifecycle::{self, Ownership};
use super::{Resources, Subresource, WriteOptions, Written, acknowledged};
use crate::decode;
use crate::kind::{Key, Kind};
use crate::meta;
use crate::status::{Cause, Status};
use crate::store::{Effect, Synced, Turn};

/// Kinds that nobody may overwrite blindly.
const CAREFUL: &[Kind] = &[Kind::LEASE, Kind::PDB];

impl Resources {
    pub(crate) async fn update_with(
        &self,
        kind: Kind,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let (written, synced) = self.update_now(kind, object, options)?;
        acknowledged(written, synced).await
    }

    fn update_now(
        &self,
        kind: Kind,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<(Written, Synced), Status> {
        meta::drop_nulls(&mut object);
        if meta::name(&object).is_empty() {
            return Err(lifecycle::name_required(kind));
        }
        if CAREFUL.contains(&kind) && meta::resource_version(&object).is_none() {
            return Err(Status::invalid(
                &kind.qualified(),
                meta::name(&object),
                vec![Cause {
                    reason: "FieldValueInvalid",
                    message: "Invalid value: 0: must be specified for an update".to_owned(),
                    field: "metadata.resourceVersion".to_owned(),
                }],
            ));
        }
        let warnings = decode::check(kind, &mut object, options.validation)?;
        let key = self.key(kind, Some(meta::namespace(&object).unwrap_or("default")), meta::name(&object));
        let turn = self.store.turn();
        let live = self.existing(&key)?;
        let (written, synced) = self.replace(&turn, key, &live, object, options, Ownership::Update)?;
        Ok((Written { warnings, ..written }, synced))
    }

    /// Puts `object` in the place of `live`, as far as the part that is written allows. The caller has held the turn
    /// since it read `live`.
    pub(super) fn replace(
        &self,
        turn: &Turn<'_>,
        key: Key,
        live: &Arc<Value>,
        mut object: Value,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<(Written, Synced), Status> {
        lifecycle::check_preconditions(&key, live, meta::uid(&object), meta::resource_version(&object))?;
        lifecycle::carry_over(key.kind, live, &mut object, options.subresource);
        if options.subresource != Some(Subresource::Status) {
            (key.kind.0.rules.default)(&mut object);
            if key.kind == Kind::SERVICE {
                self.addresses.assign(self, &mut object, Some(live))?;
            }
            lifecycle::validate(key.kind, &object, Some(live))?;
            lifecycle::count_generation(key.kind, live, &mut object);
        }
        ownership.record(key.kind, &mut object, Some(live), options);
        let unchanged = |object: Arc<Value>| Written { object, created: false, warnings: Vec::new() };
        if object == **live {
            return Ok((unchanged(live.clone()), Synced::already()));
        }
        let finished = meta::is_deleting(&object)
            && !meta::has_finalizers(&object)
            && !lifecycle::is_terminating_namespace(key.kind, &object)
            && meta::number(&object, "/metadata/deletionGracePeriodSeconds").unwrap_or(0) == 0;
        let (object, synced) = if finished && !options.dry_run {
            self.store.commit(turn, key, Effect::Remove(object), true)
        } else {
            self.put(turn, key, object, options)
        };
        Ok((unchanged(object), synced))
    }
}
