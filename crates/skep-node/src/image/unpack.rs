//! A layer's archive into a directory that an overlay can take as it is: whiteouts become the kernel's.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde::{Deserialize, Serialize};
use tar::{Archive, Entry, EntryType};

use crate::sys;

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// What a layer hides of the layers below, where the file system could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hidden {
    /// This path, relative to the root.
    Path(PathBuf),
    /// Everything in this directory.
    Below(PathBuf),
}

/// Unpacks the archive at `blob` (tar, gzip or zstd, told by its first bytes) into the empty directory `into`. Owners are kept if
/// `keep_owners`, which needs privilege.
pub(super) fn unpack(blob: &Path, into: &Path, keep_owners: bool) -> io::Result<Vec<Hidden>> {
    let mut file = File::open(blob)?;
    let mut magic = [0; 4];
    let found = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let file = BufReader::with_capacity(256 * 1024, file);
    match magic {
        [0x1f, 0x8b, ..] if found >= 2 => entries(flate2::read::MultiGzDecoder::new(file), into, keep_owners),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            entries(zstd::stream::read::Decoder::with_buffer(file)?, into, keep_owners)
        }
        _ => entries(file, into, keep_owners),
    }
}

fn entries(reader: impl Read, into: &Path, keep_owners: bool) -> io::Result<Vec<Hidden>> {
    // unpack_in compares with the real path.
    let into = &into.canonicalize()?;
    fs::set_permissions(into, fs::Permissions::from_mode(0o755))?;
    let mut archive = Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(keep_owners);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(false);
    archive.set_overwrite(true);
    // A directory's mode and time come last: it must be writable until then, and what is put in would touch its time.
    let mut folders: Vec<(PathBuf, u32, u64)> = Vec::new();
    let mut untold = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if let Some(hidden) =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(WHITEOUT))
        {
            untold.extend(hide(into, &path, hidden, keep_owners)?);
            continue;
        }
        match entry.header().entry_type() {
            // A container gets its devices from the runtime.
            EntryType::Char | EntryType::Block => continue,
            EntryType::Directory => {
                folders.extend(folder(&mut entry, into, &path, keep_owners)?);
            }
            _ => {
                if let Some(place) = inside(into, &path) {
                    make_way(&place, false)?;
                }
                entry.unpack_in(into)?;
            }
        }
    }
    for (place, mode, mtime) in folders.iter().rev() {
        fs::set_permissions(place, fs::Permissions::from_mode(mode & 0o7777))?;
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(*mtime);
        if let Ok(handle) = File::open(place) {
            let _ = handle.set_modified(time);
        }
    }
    Ok(untold)
}

fn folder<R: Read>(
    entry: &mut Entry<'_, R>,
    into: &Path,
    path: &Path,
    keep_owners: bool,
) -> io::Result<Option<(PathBuf, u32, u64)>> {
    let Some(place) = inside(into, path) else { return Ok(None) };
    let (mode, mtime) = (entry.header().mode()?, entry.header().mtime()?);
    make_way(&place, true)?;
    if place != into && !place.is_dir() {
        entry.unpack_in(into)?;
    } else if keep_owners {
        let id = |id: u64| u32::try_from(id).ok();
        std::os::unix::fs::lchown(&place, id(entry.header().uid()?), id(entry.header().gid()?))?;
    }
    if !place.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return Ok(None);
    }
    if !keep_owners {
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700 | (mode & 0o7777)))?;
    }
    Ok(Some((place, mode, mtime)))
}

/// `path` below `root`; `None` if it leads out by `..`, or through a symbolic link of the archive's own.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut place = root.to_owned();
    for component in path.components() {
        if place != root && place.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return None;
        }
        match component {
            Component::Normal(name) => place.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(place)
}

/// Removes what an earlier entry put here, unless both are directories.
fn make_way(place: &Path, for_folder: bool) -> io::Result<()> {
    let Ok(found) = place.symlink_metadata() else { return Ok(()) };
    match (found.is_dir(), for_folder) {
        (true, true) => Ok(()),
        (true, false) => fs::remove_dir_all(place),
        (false, _) => fs::remove_file(place),
    }
}

/// Turns `.wh.NAME` into a whiteout over the layers below, and the opaque marker into the directory's attribute. An overlay as
/// the state directory's own file system takes neither (the attribute since Linux 6.7): then what is hidden is returned.
fn hide(into: &Path, path: &Path, hidden: &str, keep_owners: bool) -> io::Result<Option<Hidden>> {
    let parent = path.parent().unwrap_or(Path::new(""));
    let Some(folder) = inside(into, parent) else { return Ok(None) };
    if folder.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        return Ok(None);
    }
    fs::create_dir_all(&folder)?;
    let relative = |place: &Path| place.strip_prefix(into).unwrap_or(place).to_owned();
    if path.file_name().is_some_and(|name| name == OPAQUE) {
        let name = if keep_owners { c"trusted.overlay.opaque" } else { c"user.overlay.opaque" };
        let told = sys::set_attribute(&folder, name, b"y").is_ok();
        return Ok((!told).then(|| Hidden::Below(relative(&folder))));
    }
    // Other markers of aufs' (.wh..wh.plnk, …) say nothing to an overlay.
    if hidden.starts_with(WHITEOUT) || hidden.is_empty() {
        return Ok(None);
    }
    let place = folder.join(hidden);
    if place.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let told = mknod(&place, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).is_ok();
    Ok((!told).then(|| Hidden::Path(relative(&place))))
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
