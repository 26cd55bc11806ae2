//! What can go wrong with the directory.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a registry cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Two processes on one directory would drop each other's uploads.
    #[error(
        "the registry in {0} is in use by another process: stop it first, or choose another state directory"
    )]
    Busy(PathBuf),
    /// Written by a newer Skep.
    #[error(
        "the registry in {path} has format {found:?}, expected {expected:?}: it was written by another version of skep"
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// What this version reads and writes.
        expected: &'static str,
        /// What the directory says.
        found: String,
    },
    /// The directory cannot be made, read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why content cannot be stored or read.
#[derive(Debug, Error)]
pub enum StorageError {
    /// No space, or no quota.
    #[error("no space left for {0}: free some, or remove unused images")]
    Full(PathBuf),
    /// Anything else the file system says.
    #[error("cannot {doing} {path}")]
    Io {
        /// A verb phrase that fits before the path.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// A file of ours says what it never should.
    #[error("{path} is damaged: expected {expected}; remove it and push the image again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
}

impl StorageError {
    /// For `map_err`: an I/O error of `doing` something with `path`.
    pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Io { doing, path, source },
        }
    }
}
