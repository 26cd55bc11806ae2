//! Manifests, tags and referrers.

use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skep_model::Digest;
use thiserror::Error;

use crate::{
    Registry, Shared, StorageError,
    layout::{digests_in, names_in, read_if_present, remove_if_present, touch},
    names::{Reference, Repository, Tag},
};

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Of `bytes`.
    pub digest: Digest,
    /// The `Content-Type` it was pushed with.
    pub media_type: String,
    /// Byte for byte.
    pub bytes: Bytes,
}

/// What a registry reads in a manifest or index. Everything else is for its consumers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Contents {
    schema_version: u64,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
    manifests: Vec<Descriptor>,
    subject: Option<Descriptor>,
    annotations: Option<Map<String, Value>>,
}

/// A reference to content (image-spec, descriptor.md).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    media_type: String,
    digest: Digest,
    size: u64,
    /// Set for layers that are fetched from elsewhere and need not be here.
    #[serde(default)]
    urls: Vec<String>,
}

/// A manifest in the answer to "who refers to this?".
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrer {
    media_type: String,
    digest: Digest,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Map<String, Value>>,
}

/// What a push of a manifest came to.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) digest: Digest,
    pub(crate) subject: Option<Digest>,
}

/// Why a manifest is not accepted.
#[derive(Debug, Error)]
pub(crate) enum PushError {
    #[error("the manifest is not what its reference says: expected {expected}, found {found}")]
    Digest { expected: Digest, found: Digest },
    #[error("not a manifest: {0}")]
    Invalid(String),
    #[error("the manifest names a blob that {repository} lacks: {digest}; push or mount it first")]
    BlobUnknown { repository: Repository, digest: Digest },
    #[error("the index names a manifest that {repository} lacks: {digest}; push it first")]
    ManifestUnknown { repository: Repository, digest: Digest },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Registry {
    /// The manifest that `reference`, a tag or a digest, names in `repository`; `None` if there is none. Counts as a pull.
    ///
    /// # Errors
    /// When the directory cannot be read or a file in it is damaged.
    pub fn manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<Option<StoredManifest>, StorageError> {
        match (Repository::parse(repository), Reference::parse(reference)) {
            (Some(repository), Some(reference)) => self.shared.manifest(&repository, &reference),
            _ => Ok(None),
        }
    }
}

impl Contents {
    /// # Errors
    /// Text that says what is wrong.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Blobs that must be here for the manifest to be of use.
    fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(self.layers.iter().filter(|layer| layer.urls.is_empty()))
    }

    /// Everything it names but its subject.
    pub(crate) fn children(&self) -> impl Iterator<Item = Digest> {
        self.blobs().chain(&self.manifests).map(|descriptor| descriptor.digest)
    }

    pub(crate) fn subject(&self) -> Option<Digest> {
        self.subject.as_ref().map(|subject| subject.digest)
    }
}

impl Shared {
    pub(crate) fn resolve(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, StorageError> {
        let path = self.layout.tag(repository, tag);
        let Some(text) = read_if_present(&path)? else {
            return Ok(None);
        };
        let digest = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        digest.map(Some).ok_or(StorageError::Damaged { path, expected: "a digest" })
    }

    pub(crate) fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<StoredManifest>, StorageError> {
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => match self.resolve(repository, tag)? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        let path = self.layout.manifest(repository, &digest);
        let Some(media_type) = read_if_present(&path)? else {
            return Ok(None);
        };
        touch(&path)?;
        let media_type = String::from_utf8(media_type);
        let media_type = media_type.map_err(|_| StorageError::Damaged { path, expected: "a media type" })?;
        let content = self.layout.blob(&digest);
        let Some(bytes) = read_if_present(&content)? else {
            return Ok(None);
        };
        Ok(Some(StoredManifest { digest, media_type, bytes: bytes.into() }))
    }

    /// Stores a manifest under its digest and, if `reference` is a tag, under that.
    pub(crate) fn push(
        &self,
        repository: &Repository,
        reference: &Reference,
        content_type: Option<&str>,
        bytes: &[u8],
    ) -> Result<Pushed, PushError> {
        let digest = Digest::of(bytes);
        if let Reference::Digest(expected) = *reference
            && expected != digest
        {
            return Err(PushError::Digest { expected, found: digest });
        }
        let contents = Contents::parse(bytes).map_err(PushError::Invalid)?;
        let media_type = media_type(&contents, content_type)?;
        self.check(repository, &contents)?;
        let path = self.layout.blob(&digest);
        if !touch(&path)? {
            self.layout.write(&path, bytes)?;
        }
        self.layout.write(&self.layout.manifest(repository, &digest), media_type.as_bytes())?;
        if let Some(subject) = contents.subject() {
            self.layout.mark(&self.layout.referrers(repository, &subject).join(digest.hex()))?;
        }
        if let Reference::Tag(tag) = reference {
            self.layout.write(&self.layout.tag(repository, tag), digest.to_string().as_bytes())?;
        }
        Ok(Pushed { digest, subject: contents.subject() })
    }

    fn check(&self, repository: &Repository, contents: &Contents) -> Result<(), PushError> {
        for blob in contents.blobs() {
            let digest = blob.digest;
            if !self.has_blob(repository, &digest)? {
                return Err(PushError::BlobUnknown { repository: repository.clone(), digest });
            }
            let size = self.blob_size(&digest)?;
            if size != blob.size {
                let said = blob.size;
                return Err(PushError::Invalid(format!(
                    "{digest} has {size} bytes, the manifest says {said}"
                )));
            }
        }
        for manifest in &contents.manifests {
            let digest = manifest.digest;
            if !touch(&self.layout.manifest(repository, &digest))? {
                return Err(PushError::ManifestUnknown { repository: repository.clone(), digest });
            }
        }
        Ok(())
    }

    /// Removes a manifest and the tags that name it. False if it was not there.
    pub(crate) fn delete_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, StorageError> {
        let referrer = read_if_present(&self.layout.blob(digest))?;
        let subject = referrer.and_then(|bytes| Contents::parse(&bytes).ok()?.subject());
        if !remove_if_present(&self.layout.manifest(repository, digest))? {
            return Ok(false);
        }
        for name in names_in(&self.layout.tags(repository))? {
            let Some(tag) = Tag::parse(&name) else { continue };
            if self.resolve(repository, &tag)? == Some(*digest) {
                remove_if_present(&self.layout.tag(repository, &tag))?;
            }
        }
        if let Some(subject) = subject {
            remove_if_present(&self.layout.referrers(repository, &subject).join(digest.hex()))?;
        }
        Ok(true)
    }

    /// The manifests in `repository` whose subject is `subject`.
    pub(crate) fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Referrer>, StorageError> {
        let mut found = Vec::new();
        for digest in digests_in(Path::new(&self.layout.referrers(repository, subject)))? {
            let Some(manifest) = self.manifest(repository, &Reference::Digest(digest))? else {
                continue;
            };
            let Ok(contents) = Contents::parse(&manifest.bytes) else {
                continue;
            };
            found.push(Referrer {
                media_type: manifest.media_type,
                digest,
                size: manifest.bytes.len(),
                artifact_type: contents
                    .artifact_type
                    .or_else(|| contents.config.map(|config| config.media_type)),
                annotations: contents.annotations,
            });
        }
        Ok(found)
    }
}

/// A manifest's type: what the client says, which the manifest must not contradict.
fn media_type(contents: &Contents, content_type: Option<&str>) -> Result<String, PushError> {
    let said = content_type.map(|value| value.split(';').next().unwrap_or(value).trim());
    if contents.schema_version != 2 {
        let found = contents.schema_version;
        return Err(PushError::Invalid(format!("schemaVersion is {found}, expected 2")));
    }
    match (said.filter(|said| !said.is_empty()), contents.media_type.as_deref()) {
        (Some(said), Some(own)) if said != own => {
            Err(PushError::Invalid(format!("it was sent as {said}, but says that it is {own}")))
        }
        (Some(media_type), _) | (None, Some(media_type)) => Ok(media_type.to_owned()),
        (None, None) => {
            Err(PushError::Invalid("neither Content-Type nor mediaType says what it is".to_owned()))
        }
    }
}
