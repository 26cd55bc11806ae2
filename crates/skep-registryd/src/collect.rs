//! Removing what nothing needs.
//!
//! Needed is a manifest that the caller keeps, that has a tag, that is young (someone may be about to tag it, or to list it in
//! an index), whatever a needed one names, and whoever's subject is needed. Everything else goes once it is old enough.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use skep_model::Digest;

use crate::{
    Registry, Shared, StorageError,
    layout::{digests_in, names_in, read_if_present, remove_if_present},
    manifests::Contents,
    names::{Repository, Tag},
};

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Manifests, counted once for each repository they were in.
    pub manifests: usize,
    /// Files of content, manifests among them.
    pub blobs: usize,
    /// Uploads that nobody finished.
    pub uploads: usize,
    /// Freed.
    pub bytes: u64,
}

impl Registry {
    /// Removes manifests that are neither in `keep`, nor tagged, nor touched within `min_age`, nor named by one that stays;
    /// then the blobs that no manifest names and uploads that rest, both if untouched for `min_age`. Pushes wait meanwhile.
    ///
    /// # Errors
    /// When the directory cannot be read or written. What was removed until then stays removed; nothing needed ever is.
    pub async fn collect(
        &self,
        keep: &HashSet<Digest>,
        min_age: Duration,
    ) -> Result<Collected, StorageError> {
        let keep = keep.clone();
        self.exclusively(move |shared| {
            let uploads = shared.uploads.drop_older(min_age);
            let collected = shared.collect(&keep, young_since(min_age))?;
            Ok(Collected { uploads, ..collected })
        })
        .await
    }

    /// Removes the tags of manifests that are not in `keep` and were neither pushed nor pulled within `min_age`, so that
    /// [`collect`](Self::collect) can have them. Returns how many tags.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub async fn expire_tags(
        &self,
        keep: &HashSet<Digest>,
        min_age: Duration,
    ) -> Result<usize, StorageError> {
        let keep = keep.clone();
        self.exclusively(move |shared| shared.expire_tags(&keep, young_since(min_age))).await
    }

    async fn exclusively<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let _naming = self.shared.naming.write().await;
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.map_err(|panic| StorageError::at("collect in", self.dir())(std::io::Error::other(panic)))?
    }
}

/// The manifests of one repository.
struct Shelf {
    repository: Repository,
    manifests: HashMap<Digest, Contents>,
    needed: HashSet<Digest>,
}

impl Shared {
    fn collect(&self, keep: &HashSet<Digest>, young: SystemTime) -> Result<Collected, StorageError> {
        let mut collected = Collected::default();
        let mut named = keep.clone();
        for repository in self.repositories()? {
            let shelf = self.shelf(repository, keep, young)?;
            for digest in shelf.manifests.keys().filter(|digest| !shelf.needed.contains(digest)) {
                self.delete_manifest(&shelf.repository, digest)?;
                collected.manifests += 1;
            }
            for link in digests_in(&self.layout.blob_links(&shelf.repository))? {
                let path = self.layout.blob_link(&shelf.repository, &link);
                if !shelf.needed.contains(&link) && !is_young(&path, young)? {
                    remove_if_present(&path)?;
                }
            }
            named.extend(shelf.needed);
        }
        for path in self.blob_files()? {
            let digest = path.file_name().and_then(|hex| format!("sha256:{}", hex.to_str()?).parse().ok());
            if digest.is_some_and(|digest| named.contains(&digest)) || is_young(&path, young)? {
                continue;
            }
            let size = fs::metadata(&path)
                .map(|metadata| metadata.len())
                .map_err(StorageError::at("look at", &path))?;
            if remove_if_present(&path)? {
                collected.blobs += 1;
                collected.bytes += size;
            }
        }
        Ok(collected)
    }

    /// A repository's manifests, and what of it is needed: manifests and blobs alike.
    fn shelf(
        &self,
        repository: Repository,
        keep: &HashSet<Digest>,
        young: SystemTime,
    ) -> Result<Shelf, StorageError> {
        let mut manifests = HashMap::new();
        let mut pending = Vec::new();
        for digest in digests_in(&self.layout.manifests(&repository))? {
            let bytes = read_if_present(&self.layout.blob(&digest))?;
            // One that cannot be read names nothing.
            let contents = bytes.and_then(|bytes| Contents::parse(&bytes).ok()).unwrap_or_default();
            manifests.insert(digest, contents);
            if keep.contains(&digest) || is_young(&self.layout.manifest(&repository, &digest), young)? {
                pending.push(digest);
            }
        }
        for tag in self.tags_of(&repository)? {
            pending.extend(self.resolve(&repository, &tag)?);
        }
        let mut needed = HashSet::new();
        while let Some(digest) = pending.pop() {
            if needed.insert(digest) {
                pending.extend(manifests.get(&digest).into_iter().flat_map(Contents::children));
                let refer = manifests.iter().filter(|(_, contents)| contents.subject() == Some(digest));
                pending.extend(refer.map(|(referrer, _)| *referrer));
            }
        }
        Ok(Shelf { repository, manifests, needed })
    }

    fn expire_tags(&self, keep: &HashSet<Digest>, young: SystemTime) -> Result<usize, StorageError> {
        let mut expired = 0;
        for repository in self.repositories()? {
            for tag in self.tags_of(&repository)? {
                let Some(digest) = self.resolve(&repository, &tag)? else {
                    continue;
                };
                if !keep.contains(&digest) && !is_young(&self.layout.manifest(&repository, &digest), young)? {
                    remove_if_present(&self.layout.tag(&repository, &tag))?;
                    expired += 1;
                }
            }
        }
        Ok(expired)
    }

    fn tags_of(&self, repository: &Repository) -> Result<Vec<Tag>, StorageError> {
        Ok(names_in(&self.layout.tags(repository))?.iter().filter_map(|name| Tag::parse(name)).collect())
    }

    fn blob_files(&self) -> Result<Vec<PathBuf>, StorageError> {
        let mut files = Vec::new();
        for shard in names_in(&self.layout.blobs())? {
            let dir = self.layout.blobs().join(shard);
            files.extend(names_in(&dir)?.into_iter().map(|name| dir.join(name)));
        }
        Ok(files)
    }
}

/// The instant after which a file counts as young. An age beyond the epoch keeps everything.
fn young_since(min_age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(min_age).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn is_young(path: &Path, since: SystemTime) -> Result<bool, StorageError> {
    match fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(modified) => Ok(modified > since),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StorageError::at("look at", path)(error)),
    }
}
