//! The state directory: claimed by one hive at a time, for as long as its process lives.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::HiveError;

/// How long a hive that was killed may take to let go.
const DYING: Duration = Duration::from_secs(5);

/// A claimed state directory.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// The kernel gives the lock up with the process, however that ends.
    _lock: File,
}

impl StateDir {
    /// Makes the directory if needed and locks it.
    pub(super) fn claim(path: &Path) -> Result<Self, HiveError> {
        let failed = |action, at: &Path| {
            let path = at.to_owned();
            move |source| HiveError::State { action, path, source }
        };
        fs::create_dir_all(path).map_err(failed("create", path))?;
        // Secrets lie here in the clear.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed("restrict", path))?;
        let path = path.canonicalize().map_err(failed("find", path))?;
        let file = path.join("hive.lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(failed("open", &file))?;
        let deadline = Instant::now() + DYING;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let pid = noted_pid(&mut lock);
                    if pid.is_none_or(is_alive) || Instant::now() > deadline {
                        return Err(HiveError::InUse { path, pid });
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &file)(source)),
            }
        }
        note_pid(&mut lock).map_err(failed("write", &file))?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file so that a reader sees the old contents or the new, never a part.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> Result<(), HiveError> {
        let path = self.join(name);
        let part = self.join(&format!("{name}.part"));
        fs::write(&part, contents)
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|source| HiveError::State { action: "write", path, source })
    }
}

fn noted_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether a process has not given up its memory yet. A killed one does so before its files, and with them the lock, are closed.
fn is_alive(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| !arguments.is_empty())
}

fn note_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    write!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_hive_on_the_same_directory_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::claim(dir.path()).unwrap();
        let error = StateDir::claim(dir.path()).unwrap_err();
        assert!(
            matches!(&error, HiveError::InUse { pid: Some(pid), .. } if *pid == std::process::id()),
            "{error:?}"
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("stop it first")), "{error:?}");
        drop(first);
        StateDir::claim(dir.path()).unwrap();
    }
}
