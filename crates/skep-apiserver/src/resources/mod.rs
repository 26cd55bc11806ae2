//! The API's semantics over the store: what HTTP handlers and hive's controllers both call.
//!
//! Start at [`Resources`]. Each verb has a file; what they share about one object's life is in [`lifecycle`](self::lifecycle).

mod apply;
mod create;
mod delete;
mod eviction;
mod expiry;
mod lifecycle;
mod options;
mod patch;
mod scale;
mod service_address;
mod update;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

pub use options::{DeleteOptions, Patch, PatchOptions, Preconditions, Propagation, Subresource};
pub(crate) use options::{WriteOptions, Written};
pub(crate) use scale::of as scale_of;

use crate::kind::{Key, Kind};
use crate::meta;
use crate::status::Status;
use crate::store::{Effect, Store, StoreError, Synced, Turn};
use crate::watch::Watch;
use service_address::ServiceAddresses;

/// Where objects are kept, and what they are given.
#[derive(Debug, Clone, Default)]
pub struct ResourcesConfig {
    /// The store's file; none keeps everything in memory only.
    pub file: Option<PathBuf>,
    /// Where Services get their addresses from: network and prefix length. None: Services get no address.
    pub service_cidr: Option<(Ipv4Addr, u8)>,
    /// Addresses of that network that no Service may have: a gateway, a DNS server.
    pub reserved: Vec<Ipv4Addr>,
}

/// All objects of the cluster, with the API's rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resources {
    pub(crate) store: Arc<Store>,
    addresses: Arc<ServiceAddresses>,
    swept: Arc<expiry::LastSweep>,
}

impl Resources {
    /// Opens the store, and makes the namespaces that are always there.
    ///
    /// # Errors
    /// When the file can't be read, or was written by a newer Skep.
    pub fn open(config: ResourcesConfig) -> Result<Self, StoreError> {
        let kind_of =
            |object: &Value| Kind::find(meta::text(object, "/apiVersion")?, meta::text(object, "/kind")?);
        let store = match &config.file {
            Some(path) => Store::open(path, &kind_of)?,
            None => Store::ephemeral(),
        };
        let addresses = ServiceAddresses::new(config.service_cidr, config.reserved);
        let resources =
            Self { store: Arc::new(store), addresses: Arc::new(addresses), swept: Arc::default() };
        for name in ["default", "kube-system"] {
            if resources.get(Kind::NAMESPACE, None, name).is_none() {
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
                // Made again at the next start if it did not reach the disk.
                _ = resources.create_now(Kind::NAMESPACE, namespace, &WriteOptions::by("skep-hive"));
            }
        }
        Ok(resources)
    }

    /// One object. `namespace` is ignored for kinds that have none.
    #[must_use]
    pub fn get(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        self.store.get(kind, namespace.filter(|_| kind.namespaced()), name)
    }

    /// All objects of a kind, of one namespace or of all. From memory.
    #[must_use]
    pub fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.store.list(kind, namespace.filter(|_| kind.namespaced())).0
    }

    /// Every existing object as added, then each change.
    #[must_use]
    pub fn watch(&self, kind: Kind, namespace: Option<&str>) -> Watch {
        Watch::new(self.store.clone(), kind, namespace.filter(|_| kind.namespaced()))
    }

    /// Creates an object. Its kind is read from itself.
    ///
    /// # Errors
    /// 404 for an unknown kind or namespace, 409 when it exists, 400 and 422 when it is wrong.
    pub async fn create(&self, object: Value, manager: &str) -> Result<Arc<Value>, Status> {
        let kind = kind_of(&object)?;
        self.create_with(kind, object, &WriteOptions::by(manager)).await.map(|written| written.object)
    }

    /// Replaces an object. Its `resourceVersion` is compared if there is one; its `status` is left as it was.
    ///
    /// # Errors
    /// 404 when there is none, 409 when somebody else wrote first, 400 and 422 when it is wrong.
    pub async fn update(&self, object: Value, manager: &str) -> Result<Arc<Value>, Status> {
        let kind = kind_of(&object)?;
        self.update_with(kind, object, &WriteOptions::by(manager)).await.map(|written| written.object)
    }

    /// Replaces an object's `status` and nothing else. Its `resourceVersion` is compared if there is one.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn update_status(&self, object: Value, manager: &str) -> Result<Arc<Value>, Status> {
        let kind = kind_of(&object)?;
        let options = WriteOptions { subresource: Some(Subresource::Status), ..WriteOptions::by(manager) };
        self.update_with(kind, object, &options).await.map(|written| written.object)
    }

    /// Patches an object; server-side apply also creates one.
    ///
    /// # Errors
    /// 404 when there is none, 409 for a conflict of versions or field managers, 400 and 422 when something is wrong.
    pub async fn patch(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        patch: Patch,
        options: PatchOptions,
    ) -> Result<Arc<Value>, Status> {
        let options = WriteOptions::from(options);
        self.patch_with(&self.key(kind, namespace, name), &patch, &options)
            .await
            .map(|written| written.object)
    }

    /// Deletes an object, or begins to: finalizers and a pod's grace keep it until they are done.
    ///
    /// # Errors
    /// 404 when there is none, 409 when a precondition does not hold.
    pub async fn delete(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Arc<Value>, Status> {
        self.delete_with(&self.key(kind, namespace, name), &options).await.map(|(object, _)| object)
    }

    pub(crate) fn key(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Key {
        let namespace = namespace.filter(|_| kind.namespaced()).map(str::to_owned);
        Key { kind, namespace, name: name.to_owned() }
    }

    pub(crate) fn existing(&self, key: &Key) -> Result<Arc<Value>, Status> {
        self.store
            .get(key.kind, key.namespace.as_deref(), &key.name)
            .ok_or_else(|| Status::not_found(&key.kind.resource(), &key.name))
    }

    /// Writes, unless it is a dry run.
    fn put(&self, turn: &Turn<'_>, key: Key, object: Value, options: &WriteOptions) -> (Arc<Value>, Synced) {
        if options.dry_run {
            return (Arc::new(object), Synced::already());
        }
        let eager = !self.is_repeated(&key, &object, options);
        self.store.commit(turn, key, Effect::Put(object), eager)
    }
}

impl Resources {
    /// Whether a write comes again and again, so that losing the latest in a crash costs nothing: an observation, an
    /// event, the renewal of a lease by its holder. Such a write is acknowledged before it is on disk.
    fn is_repeated(&self, key: &Key, object: &Value, options: &WriteOptions) -> bool {
        if options.subresource == Some(Subresource::Status) || key.kind == Kind::EVENT {
            return true;
        }
        let holder = |lease: &Value| lease.pointer("/spec/holderIdentity").cloned();
        key.kind == Kind::LEASE && self.existing(key).is_ok_and(|live| holder(&live) == holder(object))
    }
}

/// Waits until a write is on disk.
async fn acknowledged(written: Written, synced: Synced) -> Result<Written, Status> {
    synced.wait().await.map_err(not_stored)?;
    Ok(written)
}

#[expect(clippy::needless_pass_by_value, reason = "used as the function of a map_err")]
fn not_stored(why: String) -> Status {
    Status::internal(format!("the change could not be written to the store's file: {why}"))
}

/// The kind that an object says it is.
fn kind_of(object: &Value) -> Result<Kind, Status> {
    let api_version = meta::text(object, "/apiVersion").unwrap_or_default();
    let kind = meta::text(object, "/kind").unwrap_or_default();
    Kind::find(api_version, kind).ok_or_else(|| {
        Status::new(404, "NotFound", format!("no kind \"{kind}\" is served for version \"{api_version}\""))
    })
}
