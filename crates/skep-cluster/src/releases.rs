//! The release store: a Secret per release, compressed, named `skep.<app>.v<N>`.
//!
//! A record is *created*, never applied: two deploys that reach for the same number can't both have it. What one Secret can't hold goes
//! on in `skep.<app>.v<N>.2` and so on. Those are written before the first, which alone counts: a record is there whole or not at all.

use std::io::{Read, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use skep_model::{AppName, ObjectKey, Release};
use thiserror::Error;

use crate::{Cluster, ClusterError, Route, Selector};

/// Compressed bytes in one Secret. Kubernetes stops at 1 MiB, and some etcds at less for the whole request.
pub(crate) const LARGEST: usize = 700_000;
/// The annotation with the number of Secrets that a record fills; absent for one.
const PARTS: &str = "skep.dev/parts";

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
        let firsts = self.secrets("release").await?;
        let parts = match firsts.iter().any(|first| parts_of(first) > 1) {
            true => self.secrets("release-part").await?,
            false => Vec::new(),
        };
        let mut releases = firsts.iter().map(|first| decode(first, &parts)).collect::<Result<Vec<_>, _>>()?;
        releases.sort_by_key(|release| release.number);
        Ok(releases)
    }

    async fn secrets(&self, record: &str) -> Result<Vec<Value>, RecordError> {
        let Some(route) = Route::built_in("v1", "Secret") else {
            return Ok(Vec::new());
        };
        let selector = Selector::labels(format!("skep.dev/record={record},skep.dev/app={}", self.app));
        Ok(self.cluster.list(&route, Some(&self.namespace), &selector).await?)
    }

    /// Opens a record.
    ///
    /// # Errors
    /// [`RecordError::Taken`] when the number is in use: the fence between two deploys.
    pub async fn open(&self, release: &Release) -> Result<(), RecordError> {
        let (first, rest) = self.encode(release)?;
        self.write_parts(&rest).await?;
        match self.cluster.create(&first, "skep").await {
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
        let (first, rest) = self.encode(release)?;
        self.write_parts(&rest).await?;
        self.cluster.replace(&first, "skep").await?;
        Ok(())
    }

    /// Parts that another try left behind are overwritten.
    async fn write_parts(&self, parts: &[Value]) -> Result<(), RecordError> {
        for part in parts {
            match self.cluster.create(part, "skep").await {
                Err(error) if error.is_conflict() => self.cluster.replace(part, "skep").await?,
                created => created?,
            };
        }
        Ok(())
    }

    /// Removes a record.
    ///
    /// # Errors
    /// When the API failed.
    pub async fn remove(&self, number: u64) -> Result<(), RecordError> {
        let first = self.key(number);
        let parts = self.cluster.get(&first).await?.as_ref().map_or(1, parts_of);
        self.cluster.delete(&first).await?;
        for part in 2..=parts {
            self.cluster.delete(&self.part_key(number, part)).await?;
        }
        Ok(())
    }

    fn part_key(&self, number: u64, part: usize) -> ObjectKey {
        let first = self.key(number);
        ObjectKey { name: format!("{}.{part}", first.name), ..first }
    }

    fn key(&self, number: u64) -> ObjectKey {
        ObjectKey {
            kind: "Secret".to_owned(),
            namespace: Some(self.namespace.clone()),
            name: format!("skep.{}.v{number}", self.app),
            api_version: "v1".to_owned(),
        }
    }

    /// The first Secret and the others.
    fn encode(&self, release: &Release) -> Result<(Value, Vec<Value>), RecordError> {
        let key = self.key(release.number);
        let unwritable = |why: String| RecordError::Unreadable { name: key.name.clone(), why };
        let json = serde_json::to_vec(release).map_err(|error| unwritable(error.to_string()))?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let packed = gzip
            .write_all(&json)
            .and_then(|()| gzip.finish())
            .map_err(|error| unwritable(error.to_string()))?;
        let mut chunks = packed.chunks(LARGEST);
        let mut first = self.secret(&key, release, "release", chunks.next().unwrap_or_default());
        let rest: Vec<Value> = (2..)
            .zip(chunks)
            .map(|(part, chunk)| {
                self.secret(&self.part_key(release.number, part), release, "release-part", chunk)
            })
            .collect();
        if !rest.is_empty() {
            first["metadata"]["annotations"][PARTS] = (rest.len() + 1).to_string().into();
        }
        Ok((first, rest))
    }

    fn secret(&self, key: &ObjectKey, release: &Release, record: &str, bytes: &[u8]) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "skep.dev/release.v1",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "labels": {
                    "app.kubernetes.io/managed-by": "skep",
                    "skep.dev/app": self.app,
                    "skep.dev/record": record,
                    "skep.dev/release": release.number.to_string(),
                    "skep.dev/status": release.status,
                },
            },
            "data": {"release": STANDARD.encode(bytes)},
        })
    }
}

fn parts_of(first: &Value) -> usize {
    first["metadata"]["annotations"][PARTS].as_str().and_then(|parts| parts.parse().ok()).unwrap_or(1)
}

fn decode(first: &Value, parts: &[Value]) -> Result<Release, RecordError> {
    let name = first["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let unreadable = |why: String| RecordError::Unreadable { name: name.clone(), why };
    let bytes = |secret: &Value, name: &str| {
        let text = secret["data"]["release"]
            .as_str()
            .ok_or_else(|| unreadable(format!("{name} has no `release` data")))?;
        STANDARD.decode(text).map_err(|error| unreadable(error.to_string()))
    };
    let mut packed = bytes(first, &name)?;
    for part in 2..=parts_of(first) {
        let part = format!("{name}.{part}");
        let found = parts.iter().find(|secret| secret["metadata"]["name"] == part.as_str());
        packed.extend(bytes(found.ok_or_else(|| unreadable(format!("{part} is gone")))?, &part)?);
    }
    let mut json = Vec::new();
    // Its checksum covers all parts: one of another writing is found out.
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
