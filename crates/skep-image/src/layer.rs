//! A layer's bytes: one pass from files over tar and compressor to a content-addressed file, hashed on both sides.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use skep_model::Digest;

use crate::{BuildError, Compression};

/// Something in a layer. Its path is relative to the image's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) node: Node,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Dir,
    /// A file of this machine.
    File {
        from: PathBuf,
        stat: Stat,
    },
    /// A file that Skep writes itself.
    Text(String),
    Symlink(PathBuf),
    /// Another name of a file that comes earlier in the same layer.
    HardLink(PathBuf),
}

/// What tells whether a file is the one that was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) size: u64,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i128,
    /// Nanoseconds since 1970.
    pub(crate) changed: i128,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) diff_id: Digest,
}

/// Where a blob lies: the layout that pulls use too.
pub(crate) fn blob_path(cache_dir: &Path, digest: &Digest) -> PathBuf {
    cache_dir.join("sha256").join(digest.hex())
}

/// Writes `entries`, which are in order, as a layer into `cache_dir`.
pub(crate) fn write(
    entries: &[Entry],
    compression: Compression,
    epoch: u64,
    cache_dir: &Path,
) -> Result<Written, BuildError> {
    let folder = cache_dir.join("sha256");
    let failed = |source| BuildError::File { action: "write a layer into", path: folder.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let part = tempfile::Builder::new().prefix(".layer-").tempfile_in(&folder).map_err(failed)?;
    let file = part.as_file().try_clone().map_err(failed)?;
    let outer = Hashing::new(BufWriter::with_capacity(256 << 10, file));
    let inner = Hashing::new(compression.pack(outer).map_err(failed)?);
    let mut tar = tar::Builder::new(inner);
    for entry in entries {
        append(&mut tar, entry, epoch)?;
    }
    let inner = tar.into_inner().map_err(failed)?;
    let diff_id = Digest::from_sha256(inner.hash.finalize().into());
    let mut outer = inner.inner.finish().map_err(failed)?;
    outer.flush().map_err(failed)?;
    let digest = Digest::from_sha256(outer.hash.finalize().into());
    part.persist(blob_path(cache_dir, &digest)).map_err(|error| failed(error.error))?;
    Ok(Written { digest, size: outer.len, diff_id })
}

fn append<W: Write>(tar: &mut tar::Builder<W>, entry: &Entry, epoch: u64) -> Result<(), BuildError> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(u64::from(entry.owner.0));
    header.set_gid(u64::from(entry.owner.1));
    header.set_mtime(epoch);
    header.set_size(0);
    let wrong = |source| BuildError::File { action: "add to a layer", path: entry.path.clone(), source };
    match &entry.node {
        Node::Dir => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, &entry.path, io::empty()).map_err(wrong)
        }
        Node::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, &entry.path, target).map_err(wrong)
        }
        Node::HardLink(target) => {
            header.set_entry_type(tar::EntryType::Link);
            tar.append_link(&mut header, &entry.path, target).map_err(wrong)
        }
        Node::Text(text) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, &entry.path, text.as_bytes()).map_err(wrong)
        }
        Node::File { from, stat } => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(stat.size);
            let file = File::open(from).map_err(|source| BuildError::File {
                action: "read",
                path: from.clone(),
                source,
            })?;
            // What tar announces must come, neither less nor more.
            let mut limited = Counting { inner: file.take(stat.size), len: 0 };
            let reader = io::BufReader::with_capacity(1 << 20, &mut limited);
            tar.append_data(&mut header, &entry.path, reader).map_err(wrong)?;
            let more = limited.inner.into_inner().read(&mut [0]).unwrap_or(0);
            if limited.len != stat.size || more > 0 {
                return Err(BuildError::Changed { path: from.clone() });
            }
            Ok(())
        }
    }
}

struct Counting<R> {
    inner: R,
    len: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.len += got as u64;
        Ok(got)
    }
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
    len: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), len: 0 }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
