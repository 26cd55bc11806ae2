//! The release store: a Secret per release, compressed, named `skep.<app>.v<N>`.
//!
//! A record is *created*, never applied: two deploys that reach for the same number can't both have it. What one Secret can't hold goes
//! on in `skep.<app>.v<N>.2` and so on. Those are written before the first, which alone counts: a record is there whole or not at all.

use std::io::{Read, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use skep_model::{AppName, ObjectKey, Release};

use crate::{Cluster, RecordError, Records, Route, Selector};

/// Compressed bytes in one Secret. Kubernetes stops at 1 MiB, and some etcds at less for the whole request.
pub(crate) const LARGEST: usize = 700_000;
/// Bytes that an unpacked record may have: 32 objects as large as a cluster takes them. A record that is larger is neither written nor read.
const LARGEST_RECORD: usize = 32 << 20;
/// Secrets that one record may fill: what doesn't compress at all takes so many.
const MOST_PARTS: usize = LARGEST_RECORD.div_ceil(LARGEST) + 1;
/// The annotation with the number of Secrets that a record fills; absent for one.
const PARTS: &str = "skep.dev/parts";

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

    /// All records, oldest first, and those that can't be read.
    ///
    /// # Errors
    /// When the API failed.
    pub async fn all(&self) -> Result<Records, RecordError> {
        let firsts = self.secrets("release").await?;
        let parts = match firsts.iter().any(|first| parts_of(first) > 1) {
            true => self.secrets("release-part").await?,
            false => Vec::new(),
        };
        let read = |first| decode(first, &parts).map_err(|error| (number_of(first), error));
        Ok(firsts.iter().map(read).collect())
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
        let parts = self.cluster.get(&first).await?.as_ref().map_or(1, parts_of).min(MOST_PARTS);
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
        if json.len() > LARGEST_RECORD {
            return Err(unwritable(too_large()));
        }
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

/// By its label, or else by its name: `skep.shop.v3`.
fn number_of(first: &Value) -> u64 {
    let label = first["metadata"]["labels"]["skep.dev/release"].as_str();
    let name = first["metadata"]["name"].as_str().and_then(|name| name.rsplit_once(".v"));
    let parse = |text: &str| text.parse().ok();
    name.and_then(|(_, number)| parse(number)).or_else(|| label.and_then(parse)).unwrap_or(0)
}

fn too_large() -> String {
    format!("it is larger than {} MiB", LARGEST_RECORD >> 20)
}

fn decode(first: &Value, parts: &[Value]) -> Result<Release, RecordError> {
    let name = first["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let unreadable = |why: String| RecordError::Unreadable { name: name.clone(), why };
    let json = unpack(first, parts, &name).map_err(unreadable)?;
    let value: Value = serde_json::from_slice(&json).map_err(|error| unreadable(place_of(&error)))?;
    let format = value["format"].as_u64().ok_or_else(|| unreadable("it has no format version".to_owned()))?;
    if format > u64::from(Release::FORMAT) {
        return Err(RecordError::Newer { name, format });
    }
    serde_json::from_value(value)
        .map_err(|_| unreadable("it doesn't have the fields of a release".to_owned()))
}

/// serde quotes what it does not understand, and a record holds the app's whole config.
fn place_of(error: &serde_json::Error) -> String {
    format!("it is not JSON from line {}, column {} on", error.line(), error.column())
}

fn unpack(first: &Value, parts: &[Value], name: &str) -> Result<Vec<u8>, String> {
    let bytes = |secret: &Value, name: &str| {
        let text =
            secret["data"]["release"].as_str().ok_or_else(|| format!("{name} has no `release` data"))?;
        STANDARD.decode(text).map_err(|_| format!("{name} is not base64"))
    };
    let count = parts_of(first);
    if count > MOST_PARTS {
        return Err(format!("it claims to have {count} parts, and no record has more than {MOST_PARTS}"));
    }
    let mut packed = bytes(first, name)?;
    for part in 2..=count {
        let part = format!("{name}.{part}");
        let found = parts.iter().find(|secret| secret["metadata"]["name"] == part.as_str());
        packed.extend(bytes(found.ok_or_else(|| format!("{part} is gone"))?, &part)?);
    }
    let mut json = Vec::new();
    // Its checksum covers all parts: one of another writing is found out.
    let mut gzip = GzDecoder::new(packed.as_slice()).take(LARGEST_RECORD as u64 + 1);
    gzip.read_to_end(&mut json).map_err(|error| error.to_string())?;
    if json.len() > LARGEST_RECORD { Err(too_large()) } else { Ok(json) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).expect("written");
        gzip.finish().expect("finished")
    }

    fn secret(packed: &[u8]) -> Value {
        json!({"metadata": {"name": "skep.shop.v3"}, "data": {"release": STANDARD.encode(packed)}})
    }

    fn refused(first: &Value) -> String {
        decode(first, &[]).expect_err("unreadable").to_string()
    }

    #[test]
    fn oversized_record_is_refused_after_its_limit() {
        // A tenth of a Secret that unpacks to more than any record has.
        let bomb = secret(&gzipped(&vec![b' '; 2 * LARGEST_RECORD]));
        assert_eq!(refused(&bomb), "release record skep.shop.v3 can't be read: it is larger than 32 MiB");
        let mut many = secret(&gzipped(b"{}"));
        many["metadata"]["annotations"][PARTS] = "4000000000".into();
        assert!(refused(&many).contains("claims to have 4000000000 parts"), "{}", refused(&many));
    }

    #[test]
    fn damaged_record_is_reported_without_its_content() {
        for json in ["{\"format\": 1, \"app\": [\"hunter2\"]}", "{\"hunter2\"", "\"hunter2\"", "hunter2"] {
            let why = refused(&secret(&gzipped(json.as_bytes())));
            assert!(why.contains("skep.shop.v3") && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn unreadable_record_keeps_its_number() {
        let newer = secret(&gzipped(b"{\"format\": 99}"));
        let error = decode(&newer, &[]).expect_err("newer");
        let records = Records::from_iter([Err((number_of(&newer), error))]);
        assert_eq!(records.newest(), 3);
        assert!(matches!(records.readable(3), Err(RecordError::Newer { format: 99, .. })));
        assert!(
            records.readable(2).is_ok()
                && records.readable_since(2).is_err()
                && records.readable_since(4).is_ok()
        );
        assert!(records.not_newer().is_err());
    }
}
