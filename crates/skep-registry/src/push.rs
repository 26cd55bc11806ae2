//! Push: only what the registry lacks is sent, and its answer is compared with what was meant.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use skep_model::{Digest, Emit, Event, ImageRef, Progress, Step};

use crate::{
    Client, Descriptor, MediaType, RegistryError,
    client::Access,
    http::{Body, Call},
    retry::{Failure, retrying},
    upload::Begun,
};

/// An image that lies on this machine, ready to be pushed.
#[derive(Debug, Clone)]
pub struct Package {
    /// The manifest's digest: the image's name in every registry.
    pub digest: Digest,
    /// The manifest, as its digest was taken.
    pub manifest: Bytes,
    /// The manifest's media type.
    pub media_type: String,
    /// The image config.
    pub config: Bytes,
    /// Its layers.
    pub blobs: Vec<Blob>,
}

/// A file that is part of an image.
#[derive(Debug, Clone)]
pub struct Blob {
    /// What the manifest says of it.
    pub descriptor: Descriptor,
    /// Where it lies.
    pub path: PathBuf,
    /// A repository of the same registry that has it already, so that it need not be sent.
    pub mount_from: Option<String>,
}

/// An image that is in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// What the registry answered; the same as what was meant.
    pub digest: Digest,
    /// Bytes that were sent; 0 when the registry had it all.
    pub bytes_sent: u64,
}

/// Told as bytes move: how many so far, and how many in all. Never blocks.
#[derive(Clone)]
pub struct OnBytes(Arc<dyn Fn(u64, u64) + Send + Sync>);

impl OnBytes {
    /// Calls `subscriber` with (moved, total).
    pub fn new(subscriber: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(subscriber))
    }

    /// For callers that have no one to tell.
    pub fn nowhere() -> Self {
        Self::new(|_, _| ())
    }

    /// Emits [`Event::Image`] with [`Step::Push`] for the image of this name in skep.yaml.
    pub fn emitting(emit: &Emit, image: &str) -> Self {
        let (emit, image) = (emit.clone(), image.to_owned());
        Self::new(move |sent, total| {
            emit.emit(Event::Image {
                image: image.clone(),
                step: Step::Push,
                progress: Progress::Bytes { sent, total },
            });
        })
    }
}

impl fmt::Debug for OnBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnBytes")
    }
}

/// Counts what has gone out of one blob, and adds it to what has gone out of all.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    own: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
    on_bytes: OnBytes,
}

impl Meter {
    fn new(on_bytes: OnBytes) -> Self {
        Self { own: Arc::default(), sent: Arc::default(), total: Arc::default(), on_bytes }
    }

    /// The same, counting another blob.
    fn for_another(&self) -> Self {
        Self { own: Arc::default(), ..self.clone() }
    }

    /// Bytes of this blob that went out.
    pub(crate) fn own(&self) -> u64 {
        self.own.load(Ordering::Relaxed)
    }

    /// `bytes` more went out.
    pub(crate) fn add(&self, bytes: u64) {
        self.own.fetch_add(bytes, Ordering::Relaxed);
        let sent = self.sent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.on_bytes.0)(sent, self.total.load(Ordering::Relaxed));
    }

    /// `bytes` of a try that failed will go out again.
    pub(crate) fn take_back(&self, bytes: u64) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        self.sent.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Client {
    /// Puts `package` into `image`'s repository, under its digest, under `image`'s own tag if it has one, and under `tags`.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them. Nothing is tagged unless everything arrived whole.
    pub async fn push(
        &self,
        package: &Package,
        image: &ImageRef,
        tags: &[String],
        on_bytes: &OnBytes,
    ) -> Result<Pushed, RegistryError> {
        let meter = Meter::new(on_bytes.clone());
        let by_digest = image.pinned(package.digest);
        // This first call also logs in, so that the blobs' calls that follow in parallel find a token waiting.
        let there = self.head_manifest(&by_digest, Access::Push).await?.is_some();
        if !there {
            self.push_blobs(package, image, &meter).await?;
            self.put_manifest(package, image, &package.digest.to_string()).await?;
        }
        let tags = image.tag.iter().chain(tags).filter(|tag| !tag.is_empty());
        for tag in tags {
            self.put_manifest(package, image, tag).await?;
        }
        match self.head_manifest(&by_digest, Access::Push).await? {
            Some(digest) if digest == package.digest => Ok(Pushed { digest, bytes_sent: meter.sent() }),
            Some(found) => Err(RegistryError::DigestMismatch {
                at: self.at(&by_digest, "push"),
                expected: package.digest,
                found,
            }),
            None => Err(RegistryError::NotFound {
                at: self.at(&by_digest, "push"),
                message: Some("the manifest was accepted, and is not there".to_owned()),
            }),
        }
    }

    /// Insists that the registry takes pushes to a repository from us: an upload is begun, and cancelled.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them.
    pub async fn may_push(&self, image: &ImageRef) -> Result<(), RegistryError> {
        let nothing = Source {
            digest: Digest::of(b""),
            size: 0,
            content: Content::Held(Bytes::new()),
            mount_from: None,
        };
        self.begin_and_cancel(image, &nothing).await
    }

    /// Puts an index over manifests that were pushed, under its digest.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them.
    pub async fn put_index(&self, index: &Package, image: &ImageRef) -> Result<(), RegistryError> {
        self.put_manifest(index, image, &index.digest.to_string()).await
    }

    /// Gives a manifest that the registry has another tag.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when it hasn't; otherwise as the list says.
    pub async fn tag(&self, image: &ImageRef, tag: &str) -> Result<Digest, RegistryError> {
        let fetched = self.manifest(image).await?;
        let package = Package {
            digest: fetched.digest,
            manifest: fetched.bytes,
            media_type: fetched.media_type,
            config: Bytes::new(),
            blobs: Vec::new(),
        };
        self.put_manifest(&package, image, tag).await?;
        Ok(package.digest)
    }

    /// Takes a tag away; what it named stays until the registry cleans up. False where there was none, or where the registry
    /// doesn't let go of single tags (the specification makes that optional).
    ///
    /// # Errors
    /// As [`RegistryError`] lists them.
    pub async fn untag(&self, image: &ImageRef, tag: &str) -> Result<bool, RegistryError> {
        let named = image.tagged(tag);
        let at = self.at(&named, "push");
        let url = self.url(&named, &format!("manifests/{tag}"))?;
        match self.call(&named, Call::new(reqwest::Method::DELETE, url, Access::Push), &at).await {
            Ok(_) => Ok(true),
            Err(
                RegistryError::NotFound { .. } | RegistryError::Unexpected { status: 400 | 405 | 501, .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn push_blobs(
        &self,
        package: &Package,
        image: &ImageRef,
        meter: &Meter,
    ) -> Result<(), RegistryError> {
        let config = Source {
            digest: Digest::of(&package.config),
            size: package.config.len() as u64,
            content: Content::Held(package.config.clone()),
            mount_from: None,
        };
        let mut sources = vec![config];
        for blob in &package.blobs {
            // An image may hold the same layer twice.
            if sources.iter().all(|source| source.digest != blob.descriptor.digest) {
                sources.push(Source {
                    digest: blob.descriptor.digest,
                    size: blob.descriptor.size,
                    content: Content::File(blob.path.clone()),
                    mount_from: blob.mount_from.clone(),
                });
            }
        }
        let width = self.config().concurrency.max(1);
        // All are asked after before any is sent, so that the total is known when the first byte moves.
        let missing: Vec<Source> = stream::iter(sources)
            .map(|source| async move {
                let there = self.has_blob(image, &source.digest, Access::Push).await?;
                Ok::<_, RegistryError>((!there).then_some(source))
            })
            .buffer_unordered(width)
            .try_filter_map(|source| async move { Ok(source) })
            .try_collect()
            .await?;
        missing.iter().for_each(|source| meter.expect(source.size));
        let begun = &Begun::default();
        let uploaded = stream::iter(missing)
            .map(|source| async move { self.upload(image, &source, begun, &meter.for_another()).await })
            .buffer_unordered(width)
            .try_collect()
            .await;
        self.cancel(image, begun).await;
        uploaded
    }

    async fn put_manifest(
        &self,
        package: &Package,
        image: &ImageRef,
        reference: &str,
    ) -> Result<(), RegistryError> {
        let named = match reference.parse::<Digest>() {
            Ok(digest) => image.pinned(digest),
            Err(_) => image.tagged(reference),
        };
        let at = self.at(&named, "push");
        let url = self.url(image, &format!("manifests/{reference}"))?;
        let call = Call::new(reqwest::Method::PUT, url, Access::Push)
            .content_type(&package.media_type)
            .body(Body::Held(package.manifest.clone()));
        let put = || async { self.call_once(image, &call, &at).await.map_err(blobs_are_late) };
        let answer = retrying(&self.config().retry, put).await?;
        match answer.digest() {
            Some(found) if found != package.digest => {
                Err(RegistryError::DigestMismatch { at, expected: package.digest, found })
            }
            _ => Ok(()),
        }
    }

    /// True when the repository has this blob.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them, [`RegistryError::NotFound`] excepted.
    pub async fn blob_exists(&self, image: &ImageRef, digest: &Digest) -> Result<bool, RegistryError> {
        self.has_blob(image, digest, Access::Pull).await
    }

    async fn has_blob(
        &self,
        image: &ImageRef,
        digest: &Digest,
        access: Access,
    ) -> Result<bool, RegistryError> {
        let at = self.at_blob(image, digest, if access == Access::Push { "push" } else { "pull" });
        let url = self.url(image, &format!("blobs/{digest}"))?;
        let call = Call::new(reqwest::Method::HEAD, url, access);
        match self.call(image, call, &at).await {
            Ok(_) => Ok(true),
            Err(RegistryError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Blobs that have just been uploaded, and that somebody else uploads too, are unknown for a moment to registries that keep them in files.
fn blobs_are_late(failure: Failure) -> Failure {
    let late = matches!(&*failure.error, RegistryError::Unexpected { message: Some(message), .. }
        | RegistryError::NotFound { message: Some(message), .. } if message.contains("BLOB_UNKNOWN"));
    Failure { again: failure.again || late, ..failure }
}

/// Something to upload.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) content: Content,
    pub(crate) mount_from: Option<String>,
}

/// Where an upload's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Held(Bytes),
    File(PathBuf),
}

impl Package {
    /// The manifest as a descriptor, such as an index holds.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest,
            size: self.manifest.len() as u64,
            annotations: Default::default(),
            platform: None,
        }
    }

    /// True for a manifest of OCI's kind rather than Docker's.
    pub fn is_oci(&self) -> bool {
        self.media_type == MediaType::MANIFEST
    }
}
