//! Files that only their owner reads.

use std::{fs, io, io::Write as _, path::Path};

/// Writes a file with mode 0600, whole or not at all. One that is there is replaced, with its mode; what is no regular file, such as
/// `/dev/stdout`, is written to.
///
/// # Errors
/// The operating system's.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let real = path.canonicalize();
    if real.as_ref().is_ok_and(|real| !real.is_file()) {
        return fs::write(path, bytes);
    }
    let path = real.as_deref().unwrap_or(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
