//! Pull: an image's blobs into a content-addressed folder, each checked before it is there.

use std::{
    io,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use sha2::{Digest as _, Sha256};
use skep_model::{Digest, ImageRef, Platform};
use tokio::io::AsyncWriteExt as _;

use crate::{
    At, Client, Descriptor, ImageConfig, RegistryError,
    client::Access,
    http::Call,
    retry::{Failure, retrying},
};

/// An image that lies on this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledImage {
    /// What the reference points at ([`crate::Resolved::digest`]).
    pub digest: Digest,
    /// The manifest for the platform.
    pub manifest_digest: Digest,
    /// The image config, as the registry has it.
    pub config: serde_json::Value,
    /// The layers, the lowest first.
    pub layers: Vec<PulledLayer>,
}

/// A layer that lies on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledLayer {
    /// The digest of the file.
    pub digest: Digest,
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// How it is packed.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where it lies: `<blob_dir>/sha256/<hex>`.
    pub path: PathBuf,
}

impl Client {
    /// Pulls what `image` means on `platform` into `blob_dir`. Blobs that are there already are not fetched again; several
    /// pulls into the same folder don't harm each other.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them; [`RegistryError::NoSuchPlatform`] also when a single image is for another one.
    pub async fn pull_image(
        &self,
        image: &ImageRef,
        platform: &Platform,
        blob_dir: &Path,
    ) -> Result<PulledImage, RegistryError> {
        let resolved = self.resolve(image, platform).await?;
        let bytes = self.small_blob(image, &resolved.manifest.config).await?;
        let malformed =
            |expected, source| RegistryError::Malformed { at: self.at(image, "pull"), expected, source };
        let parsed: ImageConfig = serde_json::from_slice(&bytes)
            .map_err(|error| malformed("an image config", Some(Box::new(error) as _)))?;
        if (&parsed.os, &parsed.architecture) != (&platform.os, &platform.architecture) {
            return Err(RegistryError::NoSuchPlatform {
                at: self.at(image, "pull"),
                wanted: platform.clone(),
                found: vec![parsed.platform()],
            });
        }
        if parsed.rootfs.diff_ids.len() != resolved.manifest.layers.len() {
            return Err(malformed("as many layers in the config as in the manifest", None));
        }
        let config = serde_json::from_slice(&bytes)
            .map_err(|error| malformed("an image config", Some(Box::new(error) as _)))?;
        // Owned, not borrowed: a future over borrowed descriptors is not provably `Send`, and callers spawn this one.
        let layers = stream::iter(resolved.manifest.layers.into_iter().zip(parsed.rootfs.diff_ids))
            .map(|(layer, diff_id)| async move {
                Ok::<_, RegistryError>(PulledLayer {
                    digest: layer.digest,
                    diff_id,
                    path: self.pull_blob(image, &layer, blob_dir).await?,
                    media_type: layer.media_type,
                    size: layer.size,
                })
            })
            .buffered(self.config().concurrency.max(1))
            .try_collect()
            .await?;
        Ok(PulledImage { digest: resolved.digest, manifest_digest: resolved.manifest_digest, config, layers })
    }

    /// Fetches one blob to `<blob_dir>/sha256/<hex>`, unless it is there; answers its path.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them. The path never holds a part of a blob.
    pub async fn pull_blob(
        &self,
        image: &ImageRef,
        blob: &Descriptor,
        blob_dir: &Path,
    ) -> Result<PathBuf, RegistryError> {
        let folder = blob_dir.join("sha256");
        let path = folder.join(blob.digest.hex());
        // Only whole, checked files are ever renamed to this name; the length guards against a disk that filled up.
        if used(&path, blob.size) {
            return Ok(path);
        }
        tokio::fs::create_dir_all(&folder).await.map_err(|source| file_error("create", &folder, source))?;
        let at = self.at_blob(image, &blob.digest, "pull");
        retrying(&self.config().retry, || self.fetch(image, blob, &path, &at)).await?;
        Ok(path)
    }

    async fn fetch(&self, image: &ImageRef, blob: &Descriptor, path: &Path, at: &At) -> Result<(), Failure> {
        let folder = path.parent().unwrap_or(path);
        let part = tempfile::Builder::new()
            .prefix(".pull-")
            .tempfile_in(folder)
            .map_err(|source| file_error("create a file in", folder, source))?;
        let wrong = |source| file_error("write", path, source);
        let url = self.url(image, &format!("blobs/{}", blob.digest))?;
        let call = Call::new(Method::GET, url, Access::Pull);
        let mut response = self.open(image, &call, at).await?;
        let mut file = tokio::fs::File::from_std(part.as_file().try_clone().map_err(wrong)?);
        let mut hash = Sha256::new();
        while let Some(chunk) = self.next_chunk(&mut response, at).await? {
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(wrong)?;
        }
        file.flush().await.map_err(wrong)?;
        let found = Digest::from_sha256(hash.finalize().into());
        if found != blob.digest {
            return Err(RegistryError::DigestMismatch {
                at: Box::new(at.clone()),
                expected: blob.digest,
                found,
            }
            .into());
        }
        part.persist(path).map_err(|error| wrong(error.error))?;
        Ok(())
    }
}

/// True when the blob is there whole; its time is set to now, so that whoever clears the folder sees that it is in use.
fn used(path: &Path, size: u64) -> bool {
    let Ok(file) = std::fs::File::open(path) else {
        return false;
    };
    // Where times can't be set, nothing that relies on them is lost but a download.
    let _ = file.set_modified(std::time::SystemTime::now());
    file.metadata().is_ok_and(|meta| meta.len() == size)
}

pub(crate) fn file_error(action: &'static str, path: &Path, source: io::Error) -> RegistryError {
    RegistryError::File { action, path: path.to_owned(), source }
}
