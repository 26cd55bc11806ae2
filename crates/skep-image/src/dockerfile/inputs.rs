//! What a Dockerfile's image is made of, as one digest: the same inputs were built before, and are not built again.

use std::{
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
const FORMAT: u32 = 2;

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
    let mut ignore = Ignore::default();
    if let Some((path, content)) = ignore_file(spec, context)? {
        // It counts itself: what it hides from one tool only is not visible in the list of files.
        hash.update(format!("\0{}\0", content.len()));
        hash.update(&content);
        ignore = Ignore::parse(&content).map_err(|source| BuildError::Ignore { path, source })?;
    }
    let mut files = Vec::new();
    walk(context, Path::new(""), &ignore, &mut files)?;
    files.sort();
    for path in files {
        add(&mut hash, context, &path)?;
    }
    Ok(Digest::from_sha256(hash.finalize().into()))
}

/// Returns the ignore file that applies and its content: the Dockerfile's own, or the context's. Where buildah would read one of its own
/// kind, none applies: Docker would not read that.
fn ignore_file(spec: &DockerBuild, context: &Path) -> Result<Option<(PathBuf, Vec<u8>)>, BuildError> {
    let own = |suffix: &str| {
        let mut path = spec.dockerfile.clone().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    if let Some(content) = read(&own(".dockerignore"))? {
        return Ok(Some((own(".dockerignore"), content)));
    }
    if own(".containerignore").exists() || context.join(".containerignore").exists() {
        return Ok(None);
    }
    let path = context.join(".dockerignore");
    Ok(read(&path)?.map(|content| (path, content)))
}

/// Reads a file, if there is one.
fn read(path: &Path) -> Result<Option<Vec<u8>>, BuildError> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Collects what is part of the context, relative to it.
fn walk(folder: &Path, prefix: &Path, ignore: &Ignore, into: &mut Vec<PathBuf>) -> Result<(), BuildError> {
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let name = entry.file_name();
        // What git keeps of itself changes with every command and is no part of any program.
        if prefix.as_os_str().is_empty() && name == ".git" {
            continue;
        }
        let path = prefix.join(name);
        // How the tools compare a name that isn't UTF-8 with a pattern is not specified: the file counts.
        let ignored = path.to_str().is_some_and(|path| ignore.ignores(path));
        let before = into.len();
        if entry.file_type().map_err(failed(folder))?.is_dir() && (!ignored || ignore.has_exceptions()) {
            match walk(&entry.path(), &path, ignore, into) {
                // A folder that is ignored and can't be read, such as a database's, stops no build.
                Err(BuildError::File { source, .. })
                    if ignored && source.kind() == io::ErrorKind::PermissionDenied => {}
                walked => walked?,
            }
        }
        // A folder counts too: an empty one, and its mode. It is part of the context when something below it is.
        if !ignored || into.len() > before {
            into.push(path);
        }
    }
    Ok(())
}

fn add(hash: &mut Sha256, context: &Path, path: &Path) -> Result<(), BuildError> {
    let full = context.join(path);
    let stat = full.symlink_metadata().map_err(failed(&full))?;
    hash.update(format!("{path:?} {:o} ", stat.mode()));
    if stat.is_symlink() {
        hash.update(format!("{:?}\n", std::fs::read_link(&full).map_err(failed(&full))?));
    } else if stat.is_file() {
        hash.update(format!("{}\n", stat.len()));
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

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// A context in a folder of its own, and its digest.
    struct Context(tempfile::TempDir);

    impl Context {
        fn new(ignore: &str) -> Self {
            let context = Self(tempfile::tempdir().expect("a folder can be made"));
            context.write("Dockerfile", "FROM scratch\nCOPY . /\n");
            context.write(".dockerignore", ignore);
            context
        }

        fn write(&self, name: impl AsRef<OsStr>, content: &str) {
            let path = self.0.path().join(name.as_ref());
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
            fs::write(path, content).expect("a file can be written");
        }

        fn digest(&self) -> Result<Digest, BuildError> {
            let dockerfile = self.0.path().join("Dockerfile");
            let spec = DockerBuild { dockerfile, stage: None, args: std::collections::BTreeMap::default() };
            digest(&spec, self.0.path(), &[])
        }

        /// Whether the digest follows a file's content.
        fn counts(&self, name: impl AsRef<OsStr>) -> bool {
            self.write(&name, "one");
            let before = self.digest().expect("a context");
            self.write(&name, "two");
            before != self.digest().expect("a context")
        }
    }

    #[test]
    fn file_that_the_builder_copies_is_an_input() {
        let context = Context::new("*.{log,tmp}\n{c,d}.txt\n[!z]*.md\n**.tm*\n*.bak\n");
        for name in ["a.log", "c.txt", "readme.md", "a.tmx", "folder/a.bak"] {
            assert!(context.counts(name), "{name}");
        }
        assert!(!context.counts("a.bak"));
    }

    #[test]
    fn name_that_is_not_utf8_is_an_input() {
        let context = Context::new("*.txt\n");
        assert!(context.counts(OsStr::from_bytes(b"caf\xe9.bin")));
        assert!(context.counts(OsStr::from_bytes(b"caf\xe9/a.bin")), "and so is what is in such a folder");
    }

    #[test]
    fn empty_folder_and_its_mode_are_inputs() {
        let context = Context::new("*\n!kept/a\n");
        let before = context.digest().expect("a context");
        let kept = context.0.path().join("kept");
        fs::create_dir(&kept).expect("a folder can be made");
        assert_eq!(context.digest().expect("a context"), before, "an ignored folder");
        context.write("kept/a", "one");
        let before = context.digest().expect("a context");
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o700)).expect("its mode can be changed");
        assert_ne!(context.digest().expect("a context"), before, "the folder of a file that is kept");
        context.write(".dockerignore", "");
        let before = context.digest().expect("a context");
        fs::create_dir(context.0.path().join("empty")).expect("a folder can be made");
        assert_ne!(context.digest().expect("a context"), before);
    }

    #[test]
    fn own_ignore_file_of_a_dockerfile_takes_precedence() {
        let context = Context::new("*.log\n");
        context.write("Dockerfile.dockerignore", "*.bak\n");
        assert!(context.counts("a.log") && !context.counts("a.bak"));
        context.write(".containerignore", "");
        assert!(!context.counts("a.bak"), "buildah prefers it too");
        fs::remove_file(context.0.path().join("Dockerfile.dockerignore")).expect("it is there");
        assert!(context.counts("a.log"), "buildah would read `.containerignore`, Docker would not");
    }

    #[test]
    fn malformed_pattern_is_an_error_with_file_and_line() {
        let context = Context::new("*.log\n[a-\n");
        let error = context.digest().expect_err("Docker refuses it");
        let text = error.to_string();
        assert!(text.contains(".dockerignore:2: invalid pattern `[a-`: "), "{text}");
        assert!(error.hint().is_some());
    }
}
