//! The release store: a Secret per release, compressed, named `skep.<app>.v<N>`.
//!
//! A record is *created*, never applied: two deploys that reach for the same number can't both have it.

use std::io::{Read, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use skep_model::{AppName, ObjectKey, Release};
use thiserror::Error;

use crate::{Cluster, ClusterError, Route, Selector};

/// What the API server takes for one Secret's data, with room for the rest of the object (Kubernetes stops at 1 MiB).
const LARGEST: usize = 1_000_000;

/// A record that can't be read or written.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Written by a newer Skep.
    #[error(
        "release record {name} has format {format}, and this Skep knows formats up to {}",
        Release::FORMAT
    )]
    Newer {
        /// The Secret.
        name: String,
        /// Its format.
        format: u64,
    },
    /// Not what Skep writes.
    #[error("release record {name} can't be read: {why}")]
    Unreadable {
        /// The Secret.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// More than a Secret holds.
    #[error("release v{number} is {size} bytes compressed, and a Secret holds {LARGEST}")]
    TooLarge {
        /// Its number.
        number: u64,
        /// Compressed size.
        size: usize,
    },
    /// The number is taken: another deploy was faster.
    #[error("release v{0} was opened by another deploy")]
    Taken(u64),
    /// The API failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The releases of one app.
#[derive(Debug, Clone)]
pub struct Releases {
    cluster: Cluster,
    namespace: String,
    app: AppName,
}

impl Releases {
    /// The releases of `app` in `namespace`.
    pub fn new(cluster: Cluster, namespace: &str, app: AppName) -> Self {
        Self { cluster, namespace: namespace.to_owned(), app }
    }

    /// All records, oldest first.
    ///
    /// # Errors
    /// When one can't be read: a store that is half understood is not touched.
    pub async fn all(&self) -> Result<Vec<Release>, RecordError> {
        let Some(route) = Route::built_in("v1", "Secret") else {
            return Ok(Vec::new());
        };
        let selector = Selector::labels(format!("skep.dev/record=release,skep.dev/app={}", self.app));
        let secrets = self.cluster.list(&route, Some(&self.namespace), &selector).await?;
        let mut releases = secrets.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        releases.sort_by_key(|release| release.number);
        Ok(releases)
    }

    /// Opens a record.
    ///
    /// # Errors
    /// [`RecordError::Taken`] when the number is in use: the fence between two deploys.
    pub async fn open(&self, release: &Release) -> Result<(), RecordError> {
        match self.cluster.create(&self.encode(release)?, "skep").await {
            Ok(_) => Ok(()),
            Err(error) if error.is_conflict() => Err(RecordError::Taken(release.number)),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a record's new state over its old one.
    ///
    /// # Errors
    /// When the API failed.
    pub async fn save(&self, release: &Release) -> Result<(), RecordError> {
        self.cluster.replace(&self.encode(release)?, "skep").await?;
        Ok(())
    }

    /// Removes a record.
    ///
    /// # Errors
    /// When the API failed.
    pub async fn remove(&self, number: u64) -> Result<(), RecordError> {
        self.cluster.delete(&self.key(number)).await?;
        Ok(())
    }

    fn key(&self, number: u64) -> ObjectKey {
        ObjectKey {
            kind: "Secret".to_owned(),
            namespace: Some(self.namespace.clone()),
            name: format!("skep.{}.v{number}", self.app),
            api_version: "v1".to_owned(),
        }
    }

    fn encode(&self, release: &Release) -> Result<Value, RecordError> {
        let key = self.key(release.number);
        let unwritable = |why: String| RecordError::Unreadable { name: key.name.clone(), why };
        let json = serde_json::to_vec(release).map_err(|error| unwritable(error.to_string()))?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let packed = gzip
            .write_all(&json)
            .and_then(|()| gzip.finish())
            .map_err(|error| unwritable(error.to_string()))?;
        if packed.len() > LARGEST {
            return Err(RecordError::TooLarge { number: release.number, size: packed.len() });
        }
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "skep.dev/release.v1",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "labels": {
                    "app.kubernetes.io/managed-by": "skep",
                    "skep.dev/app": self.app,
                    "skep.dev/record": "release",
                    "skep.dev/release": release.number.to_string(),
                    "skep.dev/status": release.status,
                },
            },
            "data": {"release": STANDARD.encode(packed)},
        }))
    }
}

fn decode(secret: &Value) -> Result<Release, RecordError> {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let unreadable = |why: String| RecordError::Unreadable { name: name.clone(), why };
    let packed = secret["data"]["release"]
        .as_str()
        .ok_or_else(|| unreadable("it has no `release` data".to_owned()))?;
    let packed = STANDARD.decode(packed).map_err(|error| unreadable(error.to_string()))?;
    let mut json = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut json)
        .map_err(|error| unreadable(error.to_string()))?;
    let value: Value = serde_json::from_slice(&json).map_err(|error| unreadable(error.to_string()))?;
    let format = value["format"].as_u64().ok_or_else(|| unreadable("it has no format version".to_owned()))?;
    if format > u64::from(Release::FORMAT) {
        return Err(RecordError::Newer { name, format });
    }
    serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))
}
