//! An image as a plain copy of its layers, for machines that can't overlay them.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown, symlink};
use std::path::Path;

use super::unpack::Hidden;
use crate::sys;

/// Lays a layer's directory over what is in `into`. `hidden`: what it hides beside what its files say.
pub(super) fn lay(layer: &Path, into: &Path, hidden: &[Hidden]) -> io::Result<()> {
    for hidden in hidden {
        match hidden {
            Hidden::Path(path) => remove(&into.join(path))?,
            Hidden::Below(path) => clear(&into.join(path))?,
        }
    }
    merge(layer, into)
}

fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        remove(&entry?.path())?;
    }
    Ok(())
}

fn merge(from: &Path, into: &Path) -> io::Result<()> {
    let opaque = [c"trusted.overlay.opaque", c"user.overlay.opaque"];
    if opaque.iter().any(|name| sys::attribute(from, name).as_deref() == Some(b"y")) {
        clear(into)?;
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
            merge(&source, &target)?;
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
