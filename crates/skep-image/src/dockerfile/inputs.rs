//! What a Dockerfile's image is made of, as one digest: the same inputs were built before, and are not built again.

use std::{
    fmt::Write as _,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use skep_model::{Digest, DockerBuild, Platform};

use super::ignore::Ignore;
use crate::BuildError;

/// Raised when the same inputs begin to make another image.
const FORMAT: u32 = 1;

/// The digest of all that goes into an image, its base images excepted: their text counts, not what it stands for today.
pub(super) fn digest(
    spec: &DockerBuild,
    context: &Path,
    platforms: &[Platform],
) -> Result<Digest, BuildError> {
    let dockerfile = std::fs::read(&spec.dockerfile).map_err(failed(&spec.dockerfile))?;
    let mut hash = Sha256::new();
    hash.update(format!("{FORMAT}\0{:?}\0{:?}\0{platforms:?}\0", spec.stage, spec.args));
    hash.update(&dockerfile);
    let ignore = Ignore::parse(&ignore_file(spec, context));
    let mut files = Vec::new();
    walk(context, "", &ignore, &mut files)?;
    files.sort();
    for path in files {
        add(&mut hash, context, &path)?;
    }
    Ok(Digest::from_sha256(hash.finalize().into()))
}

/// The ignore file that applies: the Dockerfile's own, or the context's. Where buildah would read one of its own kind, nothing is taken
/// for ignored: Docker would not read that.
fn ignore_file(spec: &DockerBuild, context: &Path) -> String {
    let own = |suffix: &str| {
        let mut path = spec.dockerfile.clone().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    if own(".containerignore").exists() || context.join(".containerignore").exists() {
        return String::new();
    }
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    read(own(".dockerignore")).or_else(|| read(context.join(".dockerignore"))).unwrap_or_default()
}

fn walk(folder: &Path, prefix: &str, ignore: &Ignore, into: &mut Vec<String>) -> Result<(), BuildError> {
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What git keeps of itself changes with every command and is no part of any program.
        if prefix.is_empty() && name == ".git" {
            continue;
        }
        let path = format!("{prefix}{name}");
        let is_folder = entry.file_type().map_err(failed(folder))?.is_dir();
        let out = ignore.leaves_out(&path);
        if is_folder && (!out || ignore.has_exceptions()) {
            walk(&entry.path(), &format!("{path}/"), ignore, into)?;
        }
        // A folder counts too: an empty one, and its mode.
        if !out {
            into.push(path);
        }
    }
    Ok(())
}

fn add(hash: &mut Sha256, context: &Path, path: &str) -> Result<(), BuildError> {
    let full = context.join(path);
    let stat = full.symlink_metadata().map_err(failed(&full))?;
    let mut head = String::new();
    // A string takes every write.
    let _ = write!(head, "{path:?} {:o} ", stat.mode());
    if stat.is_symlink() {
        let _ = writeln!(head, "{:?}", std::fs::read_link(&full).map_err(failed(&full))?);
        hash.update(head);
    } else if stat.is_file() {
        let _ = writeln!(head, "{}", stat.len());
        hash.update(head);
        io::copy(&mut File::open(&full).map_err(failed(&full))?, hash).map_err(failed(&full))?;
    }
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::File { action: "read", path, source }
}

/// What certain inputs made, in a certain repository.
#[derive(Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) digest: Digest,
}

fn place(cache_dir: &Path, inputs: &Digest, repository: &str) -> PathBuf {
    let key = Digest::of(format!("{inputs} {repository}").as_bytes());
    cache_dir.join("builds").join(format!("{}.json", key.hex()))
}

/// What these inputs made the last time.
pub(super) fn recall(cache_dir: &Path, inputs: &Digest, repository: &str) -> Option<Digest> {
    let path = place(cache_dir, inputs, repository);
    let made: Made = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    // Using it keeps it: what is old is unused.
    let _ = File::open(&path).and_then(|file| file.set_modified(std::time::SystemTime::now()));
    Some(made.digest)
}

/// Remembers what these inputs made. Not being able to costs a build, and nothing else.
pub(super) fn remember(cache_dir: &Path, inputs: &Digest, repository: &str, digest: Digest) {
    let path = place(cache_dir, inputs, repository);
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(cache_dir);
        std::fs::create_dir_all(folder)?;
        let part = tempfile::NamedTempFile::new_in(folder)?;
        std::fs::write(part.path(), serde_json::to_vec(&Made { digest })?)?;
        part.persist(&path)?;
        Ok(())
    };
    if let Err(error) = write() {
        tracing::debug!(%error, "build not remembered");
    }
}
