//! The bundle store: what was found when a release failed, an archive in a Secret beside its record, so that anybody who may read the
//! records can read it, on any machine.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use skep_model::{AppName, ObjectKey};

use crate::{Cluster, ClusterError, releases::LARGEST};

/// The bundles of one app.
#[derive(Debug, Clone)]
pub struct Bundles {
    cluster: Cluster,
    namespace: String,
    app: AppName,
}

impl Bundles {
    /// The bytes that one bundle may have: what one Secret holds.
    pub const LARGEST: usize = LARGEST;

    /// The bundles of `app` in `namespace`.
    pub fn new(cluster: Cluster, namespace: &str, app: AppName) -> Self {
        Self { cluster, namespace: namespace.to_owned(), app }
    }

    /// Keeps a release's bundle.
    ///
    /// # Errors
    /// When the API failed.
    pub async fn save(&self, number: u64, archive: &[u8]) -> Result<(), ClusterError> {
        let key = self.key(number);
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "skep.dev/bundle.v1",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "labels": {
                    "app.kubernetes.io/managed-by": "skep",
                    "skep.dev/app": self.app,
                    "skep.dev/record": "bundle",
                    "skep.dev/release": number.to_string(),
                },
            },
            "data": {"bundle.tar.gz": STANDARD.encode(archive)},
        });
        match self.cluster.create(&secret, "skep").await {
            Err(error) if error.is_conflict() => self.cluster.replace(&secret, "skep").await?,
            created => created?,
        };
        Ok(())
    }

    /// A release's bundle, if it has one.
    ///
    /// # Errors
    /// When the API failed.
    pub async fn load(&self, number: u64) -> Result<Option<Vec<u8>>, ClusterError> {
        let found = self.cluster.get(&self.key(number)).await?;
        Ok(found.and_then(|secret| STANDARD.decode(secret["data"]["bundle.tar.gz"].as_str()?).ok()))
    }

    /// Removes a release's bundle, if it has one.
    ///
    /// # Errors
    /// When the API failed.
    pub async fn remove(&self, number: u64) -> Result<(), ClusterError> {
        self.cluster.delete(&self.key(number)).await.map(drop)
    }

    fn key(&self, number: u64) -> ObjectKey {
        ObjectKey {
            kind: "Secret".to_owned(),
            namespace: Some(self.namespace.clone()),
            name: format!("skep.{}.v{number}.bundle", self.app),
            api_version: "v1".to_owned(),
        }
    }
}
