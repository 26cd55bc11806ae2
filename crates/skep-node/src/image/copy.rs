//! An image as a plain copy of its layers, for machines that can't overlay them.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::sys;

/// Lays `layers` (lowest first) over one another in `into`.
pub(crate) fn copy_image(layers: &[PathBuf], into: &Path) -> io::Result<()> {
    fs::create_dir_all(into)?;
    layers.iter().try_for_each(|layer| lay(layer, into))
}

fn lay(from: &Path, into: &Path) -> io::Result<()> {
    let opaque = [c"trusted.overlay.opaque", c"user.overlay.opaque"];
    if opaque.iter().any(|name| sys::attribute(from, name).as_deref() == Some(b"y")) {
        for entry in fs::read_dir(into)? {
            remove(&entry?.path())?;
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), into.join(entry.file_name()));
        let found = source.symlink_metadata()?;
        let kind = found.file_type();
        if kind.is_dir() {
            if !target.symlink_metadata().is_ok_and(|there| there.is_dir()) {
                remove(&target)?;
                fs::create_dir(&target)?;
            }
            lay(&source, &target)?;
        } else {
            remove(&target)?;
            if kind.is_char_device() && found.rdev() == 0 {
                continue;
            } else if kind.is_symlink() {
                symlink(fs::read_link(&source)?, &target)?;
            } else if kind.is_file() {
                fs::copy(&source, &target)?;
            } else {
                continue;
            }
        }
        // Owners only as far as we may set them.
        let _ = lchown(&target, Some(found.uid()), Some(found.gid()));
        if !kind.is_symlink() {
            fs::set_permissions(&target, found.permissions())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
