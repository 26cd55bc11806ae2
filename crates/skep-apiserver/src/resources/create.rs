//! POST: an object comes to be.

use serde_json::Value;

use super::lifecycle::{self, Ownership};
use super::{Resources, WriteOptions, Written, acknowledged};
use crate::decode;
use crate::kind::{Key, Kind};
use crate::meta;
use crate::names;
use crate::quota;
use crate::status::Status;
use crate::store::Synced;

impl Resources {
    pub(crate) async fn create_with(
        &self,
        kind: Kind,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let (written, synced) = self.create_now(kind, object, options)?;
        acknowledged(written, synced).await
    }

    /// Creates in memory and queues the write to disk.
    pub(crate) fn create_now(
        &self,
        kind: Kind,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<(Written, Synced), Status> {
        if let Some(why) = kind.info().refused {
            return Err(refused(kind, &object, why));
        }
        meta::drop_nulls(&mut object);
        if meta::resource_version(&object).is_some() {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let warnings = decode::check(kind, &mut object, options.validation)?;
        self.admit(kind, object, warnings, options, Ownership::Update)
    }

    /// The part of a creation that server-side apply shares: the object is checked against its type already.
    pub(super) fn admit(
        &self,
        kind: Kind,
        mut object: Value,
        warnings: Vec<String>,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<(Written, Synced), Status> {
        let generated = name_it(kind, &mut object)?;
        let turn = self.store.turn();
        self.check_namespace(kind, &object)?;
        if kind == Kind::EVENT && !options.dry_run {
            self.expire_events(&turn, skep_ambient::now());
        }
        lifecycle::begin(kind, &mut object);
        (kind.0.rules.default)(&mut object);
        if kind == Kind::POD {
            self.check_service_account(&object, generated)?;
        }
        if kind == Kind::SERVICE {
            self.addresses.assign(self, &mut object, None)?;
        }
        lifecycle::validate(kind, &object, None)?;
        quota::admit(self, kind, &object)?;
        let key = Key {
            kind,
            namespace: meta::namespace(&object).map(str::to_owned),
            name: meta::name(&object).to_owned(),
        };
        if self.store.get(kind, key.namespace.as_deref(), &key.name).is_some() {
            let status = Status::already_exists(&kind.resource(), &key.name);
            return Err(if generated { status.retry_after(1) } else { status });
        }
        ownership.record(kind, &mut object, None, options);
        let (object, synced) = self.put(&turn, key, object, options);
        Ok((Written { object, created: true, warnings }, synced))
    }

    /// A pod's ServiceAccount is there before it; each namespace has a `default` one, whether it shows or not.
    fn check_service_account(&self, pod: &Value, generated: bool) -> Result<(), Status> {
        let account = meta::text(pod, "/spec/serviceAccountName").unwrap_or("default");
        let namespace = meta::namespace(pod).unwrap_or_default();
        if account == "default" || self.store.get(Kind::SERVICE_ACCOUNT, Some(namespace), account).is_some() {
            return Ok(());
        }
        let why = format!(
            "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
        );
        // Kubernetes asks before it has made up the name.
        let prefix = meta::text(pod, "/metadata/generateName").filter(|_| generated);
        Err(Status::forbidden("pods", prefix.unwrap_or_else(|| meta::name(pod)), &why))
    }

    fn check_namespace(&self, kind: Kind, object: &Value) -> Result<(), Status> {
        if !kind.namespaced() {
            return Ok(());
        }
        let Some(name) = meta::namespace(object) else {
            return Err(Status::bad_request("an empty namespace may not be set during creation"));
        };
        let Some(namespace) = self.store.get(Kind::NAMESPACE, None, name) else {
            return Err(Status::not_found("namespaces", name));
        };
        if meta::is_deleting(&namespace) {
            let why =
                format!("unable to create new content in namespace {name} because it is being terminated");
            return Err(Status::forbidden(&kind.resource(), meta::name(object), &why).with_cause(
                crate::status::Cause {
                    reason: "NamespaceTerminating",
                    message: format!("namespace {name} is being terminated"),
                    field: "metadata.namespace".to_owned(),
                },
            ));
        }
        Ok(())
    }
}

/// Makes sure that there is a name and a fitting namespace. True when the name was made up.
fn name_it(kind: Kind, object: &mut Value) -> Result<bool, Status> {
    if !kind.namespaced() {
        meta::set(object, "namespace", None);
    } else if meta::namespace(object).is_none() {
        meta::set(object, "namespace", Some(Value::from("default")));
    }
    if !meta::name(object).is_empty() {
        return Ok(false);
    }
    let prefix = meta::text(object, "/metadata/generateName").unwrap_or_default();
    if prefix.is_empty() {
        return Err(lifecycle::name_required(kind));
    }
    let name = names::generated(prefix);
    meta::set(object, "name", Some(Value::from(name)));
    Ok(true)
}

pub(super) fn refused(kind: Kind, object: &Value, why: &str) -> Status {
    let resource = kind.resource();
    let name = meta::name(object);
    Status::method_not_allowed(format!("{resource} \"{name}\" can't be created: {why}"))
}
