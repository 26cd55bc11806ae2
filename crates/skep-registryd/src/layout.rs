//! What lies where.
//!
//! ```text
//! format                                    the version of this layout
//! lock                                      held while a process has the registry open
//! blobs/sha256/ab/abcd…                     content, manifests too, by its digest
//! uploads/                                  what has no name yet
//! repositories/<name>/_blobs/<hex>          this blob was pushed or mounted here (empty)
//! repositories/<name>/_manifests/<hex>      this manifest was pushed here; holds its media type
//! repositories/<name>/_tags/<tag>           holds a manifest's digest
//! repositories/<name>/_referrers/<subject hex>/<hex>   this manifest's subject is that one (empty)
//! ```
//! Every file appears complete, by a rename, and is never written again.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use skep_model::Digest;

use crate::{
    OpenError, StorageError,
    names::{Repository, Tag},
};

const FORMAT: &str = "1";

/// Paths under a registry's directory, and how files get there.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    sync: bool,
}

impl Layout {
    pub(crate) fn new(root: PathBuf, sync: bool) -> Self {
        Self { root, sync }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes what is missing, drops what an earlier process left unfinished, and keeps other processes out.
    pub(crate) fn take(&self) -> Result<File, OpenError> {
        let uploads = self.root.join("uploads");
        make_dir(&uploads)?;
        let path = self.root.join("lock");
        let lock = File::create(&path).map_err(StorageError::at("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Busy(self.root.clone())),
            Err(TryLockError::Error(source)) => return Err(StorageError::at("lock", &path)(source).into()),
        }
        self.check_format()?;
        fs::remove_dir_all(&uploads).map_err(StorageError::at("clear", &uploads))?;
        for dir in [uploads, self.root.join("blobs/sha256"), self.repositories()] {
            make_dir(&dir)?;
        }
        Ok(lock)
    }

    fn check_format(&self) -> Result<(), OpenError> {
        let path = self.root.join("format");
        match read_if_present(&path)? {
            Some(found) if found.trim_ascii() == FORMAT.as_bytes() => Ok(()),
            Some(found) => {
                let found = String::from_utf8_lossy(found.trim_ascii()).into_owned();
                Err(OpenError::Format { path: self.root.clone(), expected: FORMAT, found })
            }
            None => Ok(self.write(&path, format!("{FORMAT}\n").as_bytes())?),
        }
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.short(2)).join(digest.hex())
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    fn repository(&self, repository: &Repository) -> PathBuf {
        self.repositories().join(repository.as_str())
    }

    pub(crate) fn blob_links(&self, repository: &Repository) -> PathBuf {
        self.repository(repository).join("_blobs")
    }

    pub(crate) fn blob_link(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.blob_links(repository).join(digest.hex())
    }

    pub(crate) fn manifests(&self, repository: &Repository) -> PathBuf {
        self.repository(repository).join("_manifests")
    }

    pub(crate) fn manifest(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.manifests(repository).join(digest.hex())
    }

    pub(crate) fn tags(&self, repository: &Repository) -> PathBuf {
        self.repository(repository).join("_tags")
    }

    pub(crate) fn tag(&self, repository: &Repository, tag: &Tag) -> PathBuf {
        self.tags(repository).join(tag.as_str())
    }

    pub(crate) fn referrers(&self, repository: &Repository, subject: &Digest) -> PathBuf {
        self.repository(repository).join("_referrers").join(subject.hex())
    }

    /// A path for something that has no name yet.
    pub(crate) fn unnamed(&self) -> PathBuf {
        self.root.join("uploads").join(uuid::Uuid::new_v4().to_string())
    }

    /// Writes a small file, complete or not at all.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
        let unnamed = self.unnamed();
        let written = File::create(&unnamed).and_then(|mut file| {
            file.write_all(bytes)?;
            Ok(file)
        });
        let named = written
            .map_err(StorageError::at("write", &unnamed))
            .and_then(|file| self.name(&file, &unnamed, path));
        if named.is_err() {
            remove_if_present(&unnamed)?;
        }
        named
    }

    /// Gives a file that was written at `unnamed` its place.
    pub(crate) fn name(&self, file: &File, unnamed: &Path, path: &Path) -> Result<(), StorageError> {
        if self.sync {
            file.sync_data().map_err(StorageError::at("sync", unnamed))?;
        }
        match fs::rename(unnamed, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(dir) = path.parent() {
                    make_dir(dir)?;
                }
                fs::rename(unnamed, path).map_err(StorageError::at("rename", unnamed))
            }
            renamed => renamed.map_err(StorageError::at("rename", unnamed)),
        }
    }

    /// Makes an empty file, or makes it young again.
    pub(crate) fn mark(&self, path: &Path) -> Result<(), StorageError> {
        if touch(path)? { Ok(()) } else { self.write(path, b"") }
    }
}

fn make_dir(dir: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(dir).map_err(StorageError::at("make directory", dir))
}

/// Sets a file's age to nothing. False if it is not there.
pub(crate) fn touch(path: &Path) -> Result<bool, StorageError> {
    let touched =
        File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    present(touched).map(|done| done.is_some()).map_err(StorageError::at("touch", path))
}

pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    present(fs::read(path)).map_err(StorageError::at("read", path))
}

/// False if it was not there.
pub(crate) fn remove_if_present(path: &Path) -> Result<bool, StorageError> {
    present(fs::remove_file(path)).map(|done| done.is_some()).map_err(StorageError::at("remove", path))
}

/// The names in a directory, sorted; none if it is not there.
pub(crate) fn names_in(dir: &Path) -> Result<Vec<String>, StorageError> {
    let failed = |source| StorageError::at("list", dir)(source);
    let Some(entries) = present(fs::read_dir(dir)).map_err(failed)? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        // Names that are not text are not ours.
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// The digests that a directory's files are named by.
pub(crate) fn digests_in(dir: &Path) -> Result<Vec<Digest>, StorageError> {
    Ok(names_in(dir)?.iter().filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect())
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
