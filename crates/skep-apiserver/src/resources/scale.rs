//! The `autoscaling/v1` Scale: a workload's replica count as an object of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::lifecycle::{self, Ownership};
use super::{Patch, Resources, Subresource, WriteOptions, Written, acknowledged, patch};
use crate::kind::Key;
use crate::meta;
use crate::status::{Cause, Status};
use crate::store::Synced;

/// The Scale of a Deployment or ReplicaSet.
pub(crate) fn of(workload: &Value) -> Value {
    let metadata = &workload["metadata"];
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": meta::number(workload, "/spec/replicas").unwrap_or(0)},
        "status": {
            "replicas": meta::number(workload, "/status/replicas").unwrap_or(0),
            "selector": crate::selector::text_of(workload.pointer("/spec/selector")),
        },
    })
}

impl Resources {
    /// PUT of a Scale.
    pub(crate) async fn update_scale(
        &self,
        key: &Key,
        scale: &Value,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let (written, synced) = self.scale_now(key, |_| Ok(scale.clone()), options)?;
        acknowledged(written, synced).await
    }

    /// PATCH of a Scale. An apply sets what it names.
    pub(super) async fn patch_scale(
        &self,
        key: &Key,
        change: &Patch,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let patched = |live: &Value| match change {
            Patch::Apply(config) => {
                let mut scale = live.clone();
                crate::patch::merge(&mut scale, config);
                Ok(scale)
            }
            _ => patch::patched(key, &Arc::new(live.clone()), change),
        };
        let (written, synced) = self.scale_now(key, patched, options)?;
        acknowledged(written, synced).await
    }

    fn scale_now(
        &self,
        key: &Key,
        change: impl FnOnce(&Value) -> Result<Value, Status>,
        options: &WriteOptions,
    ) -> Result<(Written, Synced), Status> {
        if !key.kind.info().subresources.scale {
            return Err(Status::not_found(&format!("{}/scale", key.kind.resource()), &key.name));
        }
        let turn = self.store.turn();
        let live = self.existing(key)?;
        let scale = change(&of(&live))?;
        lifecycle::check_preconditions(key, &live, meta::uid(&scale), meta::resource_version(&scale))?;
        let replicas = match scale.pointer("/spec/replicas") {
            None => 0,
            Some(value) => {
                value.as_i64().filter(|count| (0..=i64::from(i32::MAX)).contains(count)).ok_or_else(|| {
                    Status::invalid(
                        "Scale.autoscaling",
                        &key.name,
                        vec![Cause {
                            reason: "FieldValueInvalid",
                            message: format!("Invalid value: {value}: must be greater than or equal to 0"),
                            field: "spec.replicas".to_owned(),
                        }],
                    )
                })?
            }
        };
        let mut object = (*live).clone();
        meta::child(&mut object, "spec")["replicas"] = Value::from(replicas);
        let options = WriteOptions { subresource: Some(Subresource::Scale), ..options.clone() };
        let (written, synced) =
            self.replace(&turn, key.clone(), &live, object, &options, Ownership::Update)?;
        Ok((Written { object: Arc::new(of(&written.object)), ..written }, synced))
    }
}
