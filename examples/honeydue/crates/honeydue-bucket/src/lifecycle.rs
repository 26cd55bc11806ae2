//! The backstop: what still waits to be attached after days goes, whatever has become of the worker.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

/// Objects under a prefix live for so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `uploads/`.
    pub prefix: String,
    /// From the upload to the end.
    pub lives: Duration,
}

/// Deletes what is older than the rule lets it be. Answers how many objects went.
///
/// # Errors
/// The folder's failure; what was deleted stays deleted.
pub fn sweep(bucket: &Path, rule: &Rule, now: SystemTime) -> io::Result<u64> {
    let folder = bucket.join(&rule.prefix);
    match fs::exists(&folder)? {
        true => sweep_folder(&folder, rule.lives, now),
        false => Ok(0),
    }
}

fn sweep_folder(folder: &Path, lives: Duration, now: SystemTime) -> io::Result<u64> {
    let mut gone = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            gone += sweep_folder(&entry.path(), lives, now)?;
        } else if now.duration_since(metadata.modified()?).is_ok_and(|age| age > lives) {
            match fs::remove_file(entry.path()) {
                // Deleted in the meantime.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => {
                    removed?;
                    gone += 1;
                }
            }
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_50_what_waits_too_long_goes_and_what_was_attached_stays() {
        let bucket = tempfile::tempdir().unwrap();
        for key in ["uploads/1/old", "uploads/1/new", "files/1/old"] {
            let path = bucket.path().join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "bytes").unwrap();
        }
        let now = SystemTime::now();
        let day = Duration::from_secs(86400);
        for old in ["uploads/1/old", "files/1/old"] {
            fs::File::options()
                .write(true)
                .open(bucket.path().join(old))
                .unwrap()
                .set_modified(now - 9 * day)
                .unwrap();
        }
        let rule = Rule { prefix: "uploads/".to_owned(), lives: 8 * day };
        assert_eq!(sweep(bucket.path(), &rule, now).unwrap(), 1);
        assert!(!bucket.path().join("uploads/1/old").exists());
        assert!(bucket.path().join("uploads/1/new").exists() && bucket.path().join("files/1/old").exists());
        assert_eq!(sweep(&bucket.path().join("none"), &rule, now).unwrap(), 0);
    }
}
