//! An OCI distribution registry server on a directory.
//!
//! [`Registry`] owns the directory; `router` and `serve` speak the protocol of the distribution spec v1.1 over it, and
//! `blob_path` and `manifest` give the same content to code in this process without HTTP.
//!
//! Where to start reading: `layout` says what lies where, `uploads` is the way of a blob to the disk, `manifests` what names
//! it, `collect` what happens when nothing does any more, `http` the protocol.
//!
//! Blobs are stored once, whatever repositories they are in; a repository has a link for each blob that was pushed or
//! mounted into it and serves only those, as the reference implementation does.

mod blobs;
mod collect;
mod error;
mod http;
mod layout;
mod manifests;
mod names;
mod serve;
mod uploads;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::RwLock;

pub use collect::Collected;
pub use error::{OpenError, StorageError};
use layout::Layout;
pub use manifests::StoredManifest;
use uploads::Uploads;

/// A registry on a directory. Clones are handles on the same one; the directory belongs to it until the last is dropped.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) uploads: Uploads,
    /// Held for reading by whatever gives content a name, for writing by the collection: a blob cannot be found
    /// useless and be put to use at the same time.
    pub(crate) naming: RwLock<()>,
    /// The lock is given up when this is closed, however the process ends.
    _lock: File,
}

impl Registry {
    /// Opens or makes the registry in `dir`. A blob is on the disk before it gets its name, so that neither a crash nor a
    /// power failure leaves a wrong one behind. Uploads that an earlier process left unfinished are dropped.
    ///
    /// # Errors
    /// When the directory cannot be made or read, belongs to another running process, or has a newer format.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::open_with(Layout::new(dir.into(), true))
    }

    /// Like [`open`](Self::open), but trusts the system's cache: for tests and registries that need not outlive a
    /// power failure.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn ephemeral(dir: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::open_with(Layout::new(dir.into(), false))
    }

    fn open_with(layout: Layout) -> Result<Self, OpenError> {
        let lock = layout.take()?;
        let shared = Shared { layout, uploads: Uploads::default(), naming: RwLock::default(), _lock: lock };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.shared.layout.root()
    }
}
