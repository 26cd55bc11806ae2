//! What a bucket holds, every version of it, page by page.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusty_s3::{S3Action as _, actions::ListObjectsV2};

use super::{
    Client, StoreError,
    send::Signed,
    xml::{Entry, Uploads, Versions},
};

const VERSIONS: &str = "list versions";
const OBJECTS: &str = "list objects";
const UPLOADS: &str = "list multipart uploads";
/// How long a request of our own may be under way.
pub(crate) const SIGNED_FOR: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// One version of an object. A store without versions has one of each, without an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The object's name.
    pub key: String,
    /// The version's.
    pub version: Option<String>,
    /// In bytes.
    pub size: u64,
    /// Whether it is only the mark that the object was deleted, or hidden.
    pub is_delete_marker: bool,
    /// When it came; `None` when the store does not say it in a form that can be read.
    pub last_modified: Option<Timestamp>,
}

/// Where the next page begins. Only the store knows what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Version { key: String, version: String },
    Token(String),
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What it holds.
    pub versions: Vec<ListedVersion>,
    /// Where the next one begins, if there is one.
    pub next: Option<Marker>,
}

impl Client {
    /// Every version of every object whose name begins with `prefix`, up to a thousand at once.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn versions(&self, prefix: &str, from: Option<&Marker>) -> Result<Page, StoreError> {
        if let Some(Marker(Place::Token(token))) = from {
            return self.objects(prefix, Some(token)).await;
        }
        if self.knows_no_versions.load(Ordering::Relaxed) {
            return self.objects(prefix, None).await;
        }
        match self.real_versions(prefix, from).await {
            Err(error) if error.is_not_implemented() => {
                self.knows_no_versions.store(true, Ordering::Relaxed);
                self.objects(prefix, None).await
            }
            page => page,
        }
    }

    async fn real_versions(&self, prefix: &str, from: Option<&Marker>) -> Result<Page, StoreError> {
        let (key, version) = match from {
            Some(Marker(Place::Version { key, version })) => (key.as_str(), version.as_str()),
            _ => ("", ""),
        };
        // In the order of their names, as signatures want them.
        let parameters =
            [("key-marker", key), ("prefix", prefix), ("version-id-marker", version), ("versions", "")];
        let is_said = |(name, value): &(&str, &str)| *name == "versions" || !value.is_empty();
        let said: Vec<(&str, &str)> = parameters.into_iter().filter(is_said).collect();
        let signed = |now| Signed::get(self.signed_for(now, rusty_s3::Method::Get, &said));
        let text = self.text(VERSIONS, self.send(VERSIONS, signed).await?).await?;
        let page: Versions = quick_xml::de::from_str(&text)
            .map_err(|error| StoreError::Garbled { what: VERSIONS, why: error.to_string() })?;
        let next = (page.is_truncated && !page.next_key.is_empty())
            .then_some(Marker(Place::Version { key: page.next_key, version: page.next_version }));
        if page.is_truncated && next.is_none() {
            return Err(StoreError::Garbled {
                what: VERSIONS,
                why: "there is more, and not where".to_owned(),
            });
        }
        let mut entries: Vec<_> = page
            .entries
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Version(version) => Some((version, false)),
                Entry::DeleteMarker(version) => Some((version, true)),
                Entry::Other => None,
            })
            .collect();
        // Not every store lists marks among the versions, and of two in one second only this tells which is newer.
        entries.sort_by(|(one, _), (other, _)| {
            one.key.cmp(&other.key).then(other.is_latest.cmp(&one.is_latest))
        });
        let versions = entries.into_iter().map(|(version, is_delete_marker)| ListedVersion {
            key: version.key,
            version: Some(version.version),
            size: version.size,
            is_delete_marker,
            last_modified: version.last_modified.parse().ok(),
        });
        Ok(Page { versions: versions.collect(), next })
    }

    /// Uploads in parts that were begun and not finished, each as a version without bytes. A store that has none of the kind answers none.
    ///
    /// # Errors
    /// The store's failure.
    pub(crate) async fn unfinished(&self, prefix: &str, from: Option<&Marker>) -> Result<Page, StoreError> {
        let (key, upload) = match from {
            Some(Marker(Place::Version { key, version })) => (key.as_str(), version.as_str()),
            _ => ("", ""),
        };
        // In the order of their names, as signatures want them.
        let parameters =
            [("key-marker", key), ("prefix", prefix), ("upload-id-marker", upload), ("uploads", "")];
        let is_said = |(name, value): &(&str, &str)| *name == "uploads" || !value.is_empty();
        let said: Vec<(&str, &str)> = parameters.into_iter().filter(is_said).collect();
        let signed = |now| Signed::get(self.signed_for(now, rusty_s3::Method::Get, &said));
        let text = match self.text(UPLOADS, self.send(UPLOADS, signed).await?).await {
            Err(error) if error.is_not_implemented() => return Ok(Page::default()),
            text => text?,
        };
        let page: Uploads = quick_xml::de::from_str(&text)
            .map_err(|error| StoreError::Garbled { what: UPLOADS, why: error.to_string() })?;
        let next = page
            .is_truncated
            .then_some(Marker(Place::Version { key: page.next_key, version: page.next_upload }));
        let versions = page.uploads.into_iter().map(|upload| ListedVersion {
            key: upload.key,
            version: Some(upload.id),
            size: 0,
            is_delete_marker: false,
            last_modified: upload.initiated.parse().ok(),
        });
        Ok(Page { versions: versions.collect(), next })
    }

    /// The objects whose names begin with `prefix`, as they are now.
    ///
    /// # Errors
    /// The store's failure.
    pub(crate) async fn current(&self, prefix: &str, from: Option<&Marker>) -> Result<Page, StoreError> {
        match from {
            Some(Marker(Place::Token(token))) => self.objects(prefix, Some(token)).await,
            _ => self.objects(prefix, None).await,
        }
    }

    async fn objects(&self, prefix: &str, token: Option<&str>) -> Result<Page, StoreError> {
        let signed = |now: Timestamp| {
            let mut action = self.bucket.inner.list_objects_v2(Some(&self.credentials.inner));
            action.with_prefix(prefix.to_owned());
            if let Some(token) = token {
                action.with_continuation_token(token.to_owned());
            }
            Signed::get(action.sign_with_time(SIGNED_FOR, &now))
        };
        let text = self.text(OBJECTS, self.send(OBJECTS, signed).await?).await?;
        let page = ListObjectsV2::parse_response(&text)
            .map_err(|error| StoreError::Garbled { what: OBJECTS, why: error.to_string() })?;
        let versions = page.contents.into_iter().map(|object| ListedVersion {
            key: object.key,
            version: None,
            size: object.size.unwrap_or(0),
            is_delete_marker: false,
            last_modified: object.last_modified.and_then(|time| time.parse().ok()),
        });
        let next = page.next_continuation_token.map(|token| Marker(Place::Token(token)));
        Ok(Page { versions: versions.collect(), next })
    }
}
