//! The shared libraries of what was laid: found as the dynamic linker finds them, laid with the links that lead to them.

use std::{
    collections::{HashSet, VecDeque},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use super::{
    Job,
    elf::{self, Elf, Format},
    lay::{LaidElf, node, stat, unreadable},
    loader::{Loader, SearchDir, expanded},
    tree::{Part, Taken, Tree},
};
use crate::{BuildError, layer::Node};

/// As many as Linux follows.
const LINKS: u32 = 40;

/// Something whose libraries are to be laid.
struct Object {
    here: PathBuf,
    image: PathBuf,
    elf: Elf,
    /// The RPATH of what loads it, which counts for it too.
    inherited: Vec<SearchDir>,
    /// False when the image may do without its libraries: a plugin among many in a folder.
    must: bool,
}

/// Lays what `laid` and the job's `libraries` need. Answers warnings.
pub(crate) fn close(tree: &mut Tree, job: &Job, laid: &[LaidElf]) -> Result<Vec<String>, BuildError> {
    let mut closure = Closure {
        job,
        context: job.context.canonicalize().unwrap_or_else(|_| job.context.clone()),
        loader: Loader::of_this_machine(&job.platform.architecture),
        waiting: VecDeque::new(),
        seen: HashSet::new(),
        warnings: Vec::new(),
    };
    for file in laid {
        closure.waiting.push_back(Object {
            here: file.from.canonicalize().unwrap_or_else(|_| file.from.clone()),
            image: file.at.clone(),
            elf: file.elf.clone(),
            inherited: Vec::new(),
            must: file.named,
        });
    }
    for path in &job.spec.libraries {
        closure.extra(tree, path)?;
    }
    while let Some(object) = closure.waiting.pop_front() {
        closure.satisfy(tree, &object)?;
    }
    Ok(closure.warnings)
}

struct Closure<'a> {
    job: &'a Job,
    context: PathBuf,
    loader: Loader,
    waiting: VecDeque<Object>,
    seen: HashSet<(PathBuf, Vec<SearchDir>)>,
    warnings: Vec<String>,
}

impl Closure<'_> {
    /// Lays a file that `libraries` names at its own place, and has its libraries laid.
    /// A bare name, such as `libnss_dns.so.2`, is looked for where the linker looks.
    fn extra(&mut self, tree: &mut Tree, path: &Path) -> Result<(), BuildError> {
        let bare = path.components().count() == 1;
        let found =
            self.loader.dirs.iter().map(|dir| dir.here.join(path)).find(|found| bare && found.exists());
        let path = found.as_deref().unwrap_or(path);
        stat(path, &format!("images.{}.native.libraries", self.job.image), self.job)?;
        let real = self.mirror(tree, path)?;
        if let Format::Elf(elf) = elf::read(&real).map_err(|source| unreadable(&real, source))? {
            if !elf.runs_on(&self.job.platform) {
                return Err(BuildError::WrongPlatform {
                    image: self.job.image.clone(),
                    path: path.to_owned(),
                    found: elf.machine_name(),
                    expected: Box::new(self.job.platform.clone()),
                });
            }
            self.waiting.push_back(Object {
                here: real,
                image: path.to_owned(),
                elf,
                inherited: Vec::new(),
                must: true,
            });
        }
        Ok(())
    }

    fn satisfy(&mut self, tree: &mut Tree, object: &Object) -> Result<(), BuildError> {
        if !self.seen.insert((object.image.clone(), object.inherited.clone())) {
            return Ok(());
        }
        if let Some(interpreter) = &object.elf.interpreter
            && !tree.holds(interpreter)
        {
            if interpreter.exists() {
                self.mirror(tree, interpreter)?;
            } else {
                self.missing(object, &interpreter.to_string_lossy(), &[])?;
            }
        }
        let own = expanded(&object.elf.rpath, &object.here, &object.image);
        let runpath = expanded(&object.elf.runpath, &object.here, &object.image);
        // With a RUNPATH, neither the object's RPATH nor its loaders' counts; a loader's RPATH is handed down, a RUNPATH isn't.
        let handed_down: Vec<SearchDir> = own.into_iter().chain(object.inherited.clone()).collect();
        let first = if runpath.is_empty() { handed_down.clone() } else { runpath };
        let dirs: Vec<SearchDir> = first.into_iter().chain(self.loader.dirs.clone()).collect();
        for name in &object.elf.needed {
            self.need(tree, object, name, &dirs, &handed_down)?;
        }
        Ok(())
    }

    fn need(
        &mut self,
        tree: &mut Tree,
        object: &Object,
        name: &str,
        dirs: &[SearchDir],
        handed_down: &[SearchDir],
    ) -> Result<(), BuildError> {
        // What was laid or is in the base serves; its own libraries were or are seen to with it.
        if !name.contains('/') && dirs.iter().any(|dir| tree.holds(&dir.image.join(name))) && tree.has_base()
        {
            return Ok(());
        }
        let Some((dir, elf)) = find(name, dirs, &object.elf) else {
            if dirs.iter().any(|dir| tree.holds(&dir.image.join(name))) {
                return Ok(());
            }
            return self.missing(object, name, dirs);
        };
        let here = dir.here.join(name);
        let image = dir.image.join(name);
        let real = if dir.here == dir.image {
            self.mirror(tree, &here)?
        } else {
            let real = here.canonicalize().map_err(|source| unreadable(&here, source))?;
            self.put(tree, &real, &image)?;
            real
        };
        self.waiting.push_back(Object {
            here: real,
            image,
            elf,
            inherited: handed_down.to_vec(),
            must: object.must,
        });
        Ok(())
    }

    fn missing(&mut self, object: &Object, library: &str, dirs: &[SearchDir]) -> Result<(), BuildError> {
        if object.must {
            return Err(BuildError::LibraryMissing {
                image: self.job.image.clone(),
                library: library.to_owned(),
                needed_by: object.here.clone(),
                searched: dirs.iter().map(|dir| dir.here.display().to_string()).collect(),
            });
        }
        self.warnings.push(format!(
            "image `{}`: {} needs `{library}`, which was not found; it cannot be loaded in the image",
            self.job.image,
            object.here.display()
        ));
        Ok(())
    }

    /// Lays the file at `path` at the same place, and every symlink on the way to it. Answers where it really is.
    fn mirror(&self, tree: &mut Tree, path: &Path) -> Result<PathBuf, BuildError> {
        let mut todo: Vec<PathBuf> = parts(path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == Path::new("..") {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            let meta = std::fs::symlink_metadata(&next).map_err(|source| unreadable(&next, source))?;
            if meta.is_symlink() && links < LINKS {
                links += 1;
                let target = std::fs::read_link(&next).map_err(|source| unreadable(&next, source))?;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                todo.extend(parts(&target));
                if !tree.has(&next) {
                    let part = self.part(&next);
                    tree.put(&next, Node::Symlink(target), 0o777, (0, 0), part, Taken::Keep)?;
                }
            } else {
                at = next;
            }
        }
        self.put(tree, &at, &at)?;
        Ok(at)
    }

    fn put(&self, tree: &mut Tree, from: &Path, at: &Path) -> Result<(), BuildError> {
        let meta = std::fs::metadata(from).map_err(|source| unreadable(from, source))?;
        let mode = meta.mode() & 0o7755;
        tree.put(at, node(from, &meta), mode, (0, 0), self.part(from), Taken::Keep)
    }

    /// A library that the app builds itself changes with the app.
    fn part(&self, from: &Path) -> Part {
        if from.starts_with(&self.context) { Part::Programs } else { Part::Libraries }
    }
}

/// The first library of this name that is for the same machine; the linker passes over others too.
fn find(name: &str, dirs: &[SearchDir], wanted: &Elf) -> Option<(SearchDir, Elf)> {
    let direct = Path::new(name);
    if direct.is_absolute() {
        let folder = direct.parent()?.to_owned();
        let dir = SearchDir { here: folder.clone(), image: folder };
        return matching(direct, wanted).map(|elf| (dir, elf));
    }
    dirs.iter().find_map(|dir| matching(&dir.here.join(name), wanted).map(|elf| (dir.clone(), elf)))
}

fn matching(path: &Path, wanted: &Elf) -> Option<Elf> {
    match elf::read(path) {
        Ok(Format::Elf(elf)) if elf.machine == wanted.machine => Some(elf),
        _ => None,
    }
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let part = |component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).rev().collect()
}
