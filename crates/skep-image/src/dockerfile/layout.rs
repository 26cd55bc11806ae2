//! An OCI image layout that a builder wrote, as packages that can be pushed.

use std::path::{Path, PathBuf};

use skep_model::Digest;
use skep_registry::{Blob, Index, Manifest, MediaType, Package};

use crate::BuildError;

/// An image in a layout: its platforms' manifests, and the index over them where there are several.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) manifests: Vec<Package>,
    pub(super) index: Option<Package>,
}

impl Layout {
    /// Reads the one image of a layout.
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        let top = document::<Index>(&folder.join("index.json"))?.0;
        let [only] = &top.manifests[..] else {
            return Err(unusable(folder, format!("it holds {} images, expected one", top.manifests.len())));
        };
        if !MediaType::is_index(&only.media_type) {
            let package = package(folder, &only.digest, &only.media_type)?;
            return Ok(Self { manifests: vec![package], index: None });
        }
        let (index, bytes) = document::<Index>(&blob(folder, &only.digest))?;
        let manifests = index.manifests.iter().map(|one| package(folder, &one.digest, &one.media_type));
        Ok(Self {
            manifests: manifests.collect::<Result<_, _>>()?,
            index: Some(Package {
                digest: only.digest,
                manifest: bytes.into(),
                media_type: only.media_type.clone(),
                config: Default::default(),
                blobs: Vec::new(),
            }),
        })
    }

    /// The digest that a release pins.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.index.as_ref().or(self.manifests.first()).map(|package| package.digest)
    }
}

fn package(folder: &Path, digest: &Digest, media_type: &str) -> Result<Package, BuildError> {
    let (manifest, bytes) = document::<Manifest>(&blob(folder, digest))?;
    let path = blob(folder, &manifest.config.digest);
    let config = std::fs::read(&path).map_err(|source| BuildError::File { action: "read", path, source })?;
    let blobs = manifest.layers.into_iter().map(|descriptor| Blob {
        path: blob(folder, &descriptor.digest),
        descriptor,
        mount_from: None,
    });
    Ok(Package {
        digest: *digest,
        manifest: bytes.into(),
        media_type: media_type.to_owned(),
        config: config.into(),
        blobs: blobs.collect(),
    })
}

fn document<T: serde::de::DeserializeOwned>(path: &Path) -> Result<(T, Vec<u8>), BuildError> {
    let bytes = std::fs::read(path).map_err(|source| BuildError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let value = serde_json::from_slice(&bytes).map_err(|error| unusable(path, error.to_string()))?;
    Ok((value, bytes))
}

fn blob(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs/sha256").join(digest.hex())
}

fn unusable(path: &Path, why: String) -> BuildError {
    BuildError::Layout { path: path.to_owned(), why }
}
