//! Blobs that are there.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use skep_model::Digest;

use crate::{
    Registry, Shared, StorageError,
    layout::{names_in, remove_if_present, touch},
    names::{Repository, Tag},
};

impl Registry {
    /// The file that holds a blob, of whatever repository; `None` if there is none. It is never changed, only removed
    /// when the blob is collected.
    pub fn blob_path(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.shared.layout.blob(digest);
        path.is_file().then_some(path)
    }

    /// The repositories that hold a manifest, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn repositories(&self) -> Result<Vec<String>, StorageError> {
        let mut found = Vec::new();
        for repository in self.shared.repositories()? {
            if !names_in(&self.shared.layout.manifests(&repository))?.is_empty() {
                found.push(repository.as_str().to_owned());
            }
        }
        Ok(found)
    }

    /// A repository's tags, sorted; none if there is no such repository.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>, StorageError> {
        Repository::parse(repository)
            .map_or_else(|| Ok(Vec::new()), |name| names_in(&self.shared.layout.tags(&name)))
    }

    /// Removes a tag; what it named stays until it is collected. False if there is no such tag.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn untag(&self, repository: &str, tag: &str) -> Result<bool, StorageError> {
        let (Some(repository), Some(tag)) = (Repository::parse(repository), Tag::parse(tag)) else {
            return Ok(false);
        };
        remove_if_present(&self.shared.layout.tag(&repository, &tag))
    }
}

impl Shared {
    /// Every repository that anything was ever pushed to, sorted.
    pub(crate) fn repositories(&self) -> Result<Vec<Repository>, StorageError> {
        let mut found = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(parent) = pending.pop() {
            for name in names_in(&self.layout.repositories().join(&parent))? {
                if name.starts_with('_') {
                    found.extend(Repository::parse(&parent));
                } else {
                    pending.push(if parent.is_empty() { name } else { format!("{parent}/{name}") });
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Whether `repository` has the blob. Whoever asks may be about to rely on it, so that it counts as young from now on.
    pub(crate) fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, StorageError> {
        Ok(touch(&self.layout.blob_link(repository, digest))? && touch(&self.layout.blob(digest))?)
    }

    /// Puts a blob that is there into `repository`.
    pub(crate) fn link_blob(&self, repository: &Repository, digest: &Digest) -> Result<(), StorageError> {
        self.layout.mark(&self.layout.blob_link(repository, digest))
    }

    /// Takes the blob out of `repository`; its content stays until it is collected. False if it was not there.
    pub(crate) fn unlink_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, StorageError> {
        remove_if_present(&self.layout.blob_link(repository, digest))
    }

    /// Bytes of a blob that is there.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<u64, StorageError> {
        let path = self.layout.blob(digest);
        fs::metadata(&path).map(|metadata| metadata.len()).map_err(StorageError::at("look at", &path))
    }

    /// A blob for reading, and its size in bytes.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<(File, u64), StorageError> {
        let path = self.layout.blob(digest);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        opened.map(|(size, file)| (file, size)).map_err(StorageError::at("open", &path))
    }
}
