//! From `files` of skep.yaml to entries of the tree.

use std::{
    fs::{DirEntry, FileType, Metadata},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use skep_model::LaidPath;

use super::{
    Job,
    elf::{self, Elf},
    tree::{Part, Taken, Tree},
};
use crate::{
    BuildError,
    layer::{Node, Stat},
};

/// Group and other may not write, unless skep.yaml says so: a checkout's umask is no property of an image.
const NO_WRITE: u32 = 0o022;

/// An ELF file that was laid.
#[derive(Debug)]
pub(crate) struct LaidElf {
    /// On this machine.
    pub(crate) from: PathBuf,
    /// In the image.
    pub(crate) at: PathBuf,
    pub(crate) elf: Elf,
    /// True when skep.yaml names this very file, so that it must be able to run.
    pub(crate) named: bool,
}

/// Lays everything that `files` names; answers what of it is ELF.
pub(crate) fn files(tree: &mut Tree, job: &Job) -> Result<Vec<LaidElf>, BuildError> {
    let context = job.context.canonicalize().unwrap_or_else(|_| job.context.clone());
    let mut found = Vec::new();
    for (dest, laid) in &job.spec.files {
        let key = format!("images.{}.native.files.{dest}", job.image);
        let at = destination(job, dest, &key)?;
        let meta = stat(&laid.from, &key, job)?;
        let ours = laid.from.canonicalize().is_ok_and(|from| from.starts_with(&context));
        let part = match (ours, meta.is_dir()) {
            (false, _) => Part::System,
            (true, true) => Part::Folders,
            (true, false) => Part::Programs,
        };
        let mut layer = Laying { tree: &mut *tree, job, laid, part, found: &mut found };
        if meta.is_dir() {
            layer.folder(&laid.from, &at, &meta)?;
        } else {
            layer.file(&laid.from, &at, &meta, true)?;
        }
    }
    Ok(found)
}

/// What a file of this machine is, symlinks followed.
pub(crate) fn stat(from: &Path, key: &str, job: &Job) -> Result<Metadata, BuildError> {
    std::fs::metadata(from).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => BuildError::Missing {
            image: job.image.clone(),
            key: key.to_owned(),
            from: from.to_owned(),
            run: job.spec.run.clone(),
        },
        _ => unreadable(from, source),
    })
}

fn destination(job: &Job, dest: &str, key: &str) -> Result<PathBuf, BuildError> {
    let wrong = |why| BuildError::BadPath { image: job.image.clone(), key: key.to_owned(), why };
    let path = Path::new(dest);
    if !path.is_absolute() {
        return Err(wrong("is not absolute: a path in an image begins with `/`"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(wrong("has a `..` in it"));
    }
    Ok(path.to_owned())
}

struct Laying<'a> {
    tree: &'a mut Tree,
    job: &'a Job,
    laid: &'a LaidPath,
    part: Part,
    found: &'a mut Vec<LaidElf>,
}

impl Laying<'_> {
    fn folder(&mut self, from: &Path, at: &Path, meta: &Metadata) -> Result<(), BuildError> {
        // Who may read a folder's files may look into it.
        let mode = match self.laid.mode {
            Some(mode) => mode | ((mode & 0o444) >> 2),
            None => meta.mode() & 0o7777 & !NO_WRITE,
        };
        let owner = self.owner();
        self.tree.put(at, Node::Dir, mode, owner, self.part, Taken::Replace)?;
        let read = |source| unreadable(from, source);
        let mut below: Vec<DirEntry> =
            std::fs::read_dir(from).map_err(read)?.collect::<Result<_, _>>().map_err(read)?;
        below.sort_by_key(DirEntry::file_name);
        for entry in below {
            let (from, at) = (entry.path(), at.join(entry.file_name()));
            let meta = entry.metadata().map_err(|source| unreadable(&from, source))?;
            if meta.is_symlink() {
                let target = std::fs::read_link(&from).map_err(|source| unreadable(&from, source))?;
                let link = Node::Symlink(target);
                self.tree.put(&at, link, 0o777, owner, self.part, Taken::Replace)?;
            } else if meta.is_dir() {
                self.folder(&from, &at, &meta)?;
            } else {
                self.file(&from, &at, &meta, false)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, at: &Path, meta: &Metadata, named: bool) -> Result<(), BuildError> {
        if let Some(kind) = special(meta.file_type()) {
            return Err(BuildError::Special { image: self.job.image.clone(), path: from.to_owned(), kind });
        }
        let mode = self.laid.mode.unwrap_or(meta.mode() & 0o7777 & !NO_WRITE);
        if named || may_be_elf(at, meta.mode() | mode) {
            self.look(from, at, named)?;
        }
        let owner = self.owner();
        self.tree.put(at, node(from, meta), mode, owner, self.part, Taken::Replace)
    }

    fn owner(&self) -> (u32, u32) {
        self.laid.owner.unwrap_or((0, 0))
    }

    /// Refuses a program for another machine, and notes one for this image's.
    fn look(&mut self, from: &Path, at: &Path, named: bool) -> Result<(), BuildError> {
        let wrong = |found| BuildError::WrongPlatform {
            image: self.job.image.clone(),
            path: from.to_owned(),
            found,
            expected: Box::new(self.job.platform.clone()),
        };
        match elf::read(from).map_err(|source| unreadable(from, source))? {
            elf::Format::Elf(elf) if elf.runs_on(&self.job.platform) => {
                self.found.push(LaidElf { from: from.to_owned(), at: at.to_owned(), elf, named });
            }
            // Packages often carry libraries for other machines beside those that are used.
            elf::Format::Elf(elf) if !named && !elf.is_program() => {}
            elf::Format::Elf(elf) => return Err(wrong(elf.machine_name())),
            elf::Format::Foreign(format) if named => return Err(wrong(format.to_owned())),
            elf::Format::Foreign(_) | elf::Format::Other => {}
        }
        Ok(())
    }
}

/// Opening every text file to look for ELF costs more than laying it.
fn may_be_elf(at: &Path, mode: u32) -> bool {
    let name = at.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    mode & 0o111 != 0 || name.ends_with(".so") || name.contains(".so.") || name.ends_with(".node")
}

/// A regular file as an entry.
pub(crate) fn node(from: &Path, meta: &Metadata) -> Node {
    let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Node::File {
        from: from.to_owned(),
        stat: Stat {
            size: meta.len(),
            device: meta.dev(),
            inode: meta.ino(),
            modified: nanos(meta.mtime(), meta.mtime_nsec()),
            changed: nanos(meta.ctime(), meta.ctime_nsec()),
        },
    }
}

fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_socket() {
        Some("socket")
    } else if kind.is_fifo() {
        Some("named pipe")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("device")
    } else {
        None
    }
}

pub(crate) fn unreadable(path: &Path, source: io::Error) -> BuildError {
    BuildError::File { action: "read", path: path.to_owned(), source }
}
