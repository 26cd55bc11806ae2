//! Copy: an image from one repository to another, to the byte, so that its digest is the same in both.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use skep_model::ImageRef;

use crate::{
    Blob, Client, Index, Manifest, MediaType, OnBytes, Package, RegistryError, client::Access,
    pull::file_error, resolve::Fetched,
};

impl Client {
    /// Puts `image`, with everything that its index names, into `target`'s repository under the same digest. Answers how
    /// many bytes were sent; `None` when it is there already.
    ///
    /// `self` reads, `to` writes: the two registries may ask for different logins.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them.
    pub async fn copy(
        &self,
        image: &ImageRef,
        to: &Self,
        target: &ImageRef,
        on_bytes: &OnBytes,
    ) -> Result<Option<u64>, RegistryError> {
        let top = self.manifest(image).await?;
        if to.head_manifest(&target.pinned(top.digest), Access::Push).await?.is_some() {
            return Ok(None);
        }
        // What has to be fetched lies here meanwhile.
        let folder = tempfile::Builder::new().prefix("skep-copy-").tempdir();
        let folder =
            folder.map_err(|source| file_error("make a folder below", &std::env::temp_dir(), source))?;
        let blob_dir = folder.path();
        if !MediaType::is_index(&top.media_type) {
            return self.copy_manifest(image, top, to, target, blob_dir, on_bytes).await.map(Some);
        }
        let index: Index = self.parse(image, &top, "an image index")?;
        let mut sent = 0;
        for entry in &index.manifests {
            let one = self.manifest(&image.pinned(entry.digest)).await?;
            sent += self.copy_manifest(image, one, to, target, blob_dir, on_bytes).await?;
        }
        let index = Package {
            digest: top.digest,
            manifest: top.bytes,
            media_type: top.media_type,
            config: Bytes::new(),
            blobs: Vec::new(),
        };
        to.put_index(&index, target).await?;
        Ok(Some(sent))
    }

    async fn copy_manifest(
        &self,
        image: &ImageRef,
        fetched: Fetched,
        to: &Self,
        target: &ImageRef,
        blob_dir: &Path,
        on_bytes: &OnBytes,
    ) -> Result<u64, RegistryError> {
        let manifest: Manifest = self.parse(image, &fetched, "an image manifest")?;
        let config = self.small_blob(image, &manifest.config).await?;
        let mount_from = (image.registry == target.registry).then(|| image.repository.clone());
        let blobs = stream::iter(manifest.layers)
            .map(|layer| {
                let mount_from = mount_from.clone();
                async move {
                    // What is there already is not fetched.
                    let is_there = to.blob_exists(target, &layer.digest).await?;
                    let path = match is_there {
                        true => blob_dir.join(layer.digest.hex()),
                        false => self.pull_blob(image, &layer, blob_dir).await?,
                    };
                    Ok::<_, RegistryError>(Blob { descriptor: layer, path, mount_from })
                }
            })
            .buffered(self.config().concurrency.max(1))
            .try_collect()
            .await?;
        let package = Package {
            digest: fetched.digest,
            manifest: fetched.bytes,
            media_type: fetched.media_type,
            config,
            blobs,
        };
        Ok(to.push(&package, target, &[], on_bytes).await?.bytes_sent)
    }
}
