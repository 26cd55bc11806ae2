//! Server-side apply.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use skep_model::ObjectKey;

use crate::{
    Cluster, ClusterError,
    connect::{APPLY, request},
    objects::bytes,
};

/// The field manager of everything that a release writes.
pub const MANAGER: &str = "skep";
/// The field manager of what is done between releases: restarts, pauses, scaling. The next release leaves its fields alone.
pub const OPERATOR: &str = "skep-ops";
/// Requests in flight at once: enough to hide round trips, few enough for API priority and fairness.
const IN_FLIGHT: usize = 32;

/// Whether fields of other managers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// A conflict is an error.
    No,
    /// What an earlier release wrote is taken back.
    Yes,
}

/// An object as the API answered it.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Which.
    pub key: ObjectKey,
    /// The object after the apply.
    pub object: Value,
}

impl Cluster {
    /// Applies one object as the manager `skep`.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when another manager owns a field that differs and `force` is no.
    pub async fn apply(&self, object: &Value, force: Force) -> Result<Applied, ClusterError> {
        self.apply_with(object, force, "").await
    }

    /// What [`Cluster::apply`] would make of the object, with nothing written.
    ///
    /// # Errors
    /// As `apply`; also "not found" when its namespace is not there yet.
    pub async fn rehearse(&self, object: &Value, force: Force) -> Result<Applied, ClusterError> {
        self.apply_with(object, force, "&dryRun=All").await
    }

    /// Applies a part of an object as another manager, which has its way.
    ///
    /// # Errors
    /// When the API can't be reached or refuses.
    pub async fn apply_as(&self, object: &Value, manager: &str) -> Result<Applied, ClusterError> {
        self.send_apply(object, manager, Force::Yes, "").await
    }

    async fn apply_with(&self, object: &Value, force: Force, query: &str) -> Result<Applied, ClusterError> {
        self.send_apply(object, MANAGER, force, query).await
    }

    async fn send_apply(
        &self,
        object: &Value,
        manager: &str,
        force: Force,
        query: &str,
    ) -> Result<Applied, ClusterError> {
        let (key, route) = self.locate(object).await?;
        let force = force == Force::Yes;
        let path = format!(
            "{}?fieldManager={manager}&force={force}&fieldValidation=Strict{query}",
            route.object(&key)
        );
        let request = request("PATCH", &path, bytes(object)?, Some(APPLY))?;
        let object = self.call("apply", &key.to_string(), request).await?;
        Ok(Applied { key, object })
    }

    /// Merges `patch` into an object, as `manager`.
    ///
    /// # Errors
    /// When the API can't be reached or refuses.
    pub async fn patch(&self, key: &ObjectKey, patch: &Value, manager: &str) -> Result<Value, ClusterError> {
        let route = self.route(&key.api_version, &key.kind).await?;
        let path = format!("{}?fieldManager={manager}", route.object(key));
        let request = request("PATCH", &path, bytes(patch)?, Some("application/merge-patch+json"))?;
        self.call("change", &key.to_string(), request).await
    }

    /// Writes who owns which fields of an object, if it is still as `live` was read.
    ///
    /// # Errors
    /// A conflict (see [`ClusterError::is_conflict`]) when it has changed since; else when the API can't be reached or refuses.
    pub async fn replace_managed_fields(
        &self,
        key: &ObjectKey,
        live: &Value,
        fields: Value,
    ) -> Result<(), ClusterError> {
        let route = self.route(&key.api_version, &key.kind).await?;
        let patch = json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        ]);
        let path = format!("{}?fieldManager={MANAGER}", route.object(key));
        let request = request("PATCH", &path, bytes(&patch)?, Some("application/json-patch+json"))?;
        self.call("adopt", &key.to_string(), request).await.map(|_| ())
    }

    /// Applies independent objects all at once; the answers come in the order of the objects.
    ///
    /// # Errors
    /// The first failure; those in flight are finished or dropped, and applying again is safe.
    pub async fn apply_all(&self, objects: &[Value], force: Force) -> Result<Vec<Applied>, ClusterError> {
        stream::iter(objects).map(|object| self.apply(object, force)).buffered(IN_FLIGHT).try_collect().await
    }

    /// Rehearses all at once; each answer is its own, because one missing namespace must not hide the others.
    pub async fn rehearse_all(&self, objects: &[Value], force: Force) -> Vec<Result<Applied, ClusterError>> {
        stream::iter(objects).map(|object| self.rehearse(object, force)).buffered(IN_FLIGHT).collect().await
    }
}
