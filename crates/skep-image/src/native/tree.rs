//! The image's files as they will be: paths, owners, modes, and which layer each is in.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs::File,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use super::base::{BaseTree, Kind};
use crate::{
    BuildError,
    layer::{Entry, Node},
};

/// Which layer something is in: what changes seldom lies below what changes often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// What every process expects, and shared libraries.
    Libraries,
    /// What is laid from outside the image's context, such as a distribution's packages.
    System,
    /// Folders of the context.
    Folders,
    /// Single files of the context: programs, as a rule.
    Programs,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Libraries => "libraries",
            Self::System => "system files",
            Self::Folders => "folders",
            Self::Programs => "programs",
        }
    }
}

/// How a name that is taken is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// What was laid first gives way.
    Replace,
    /// What was laid first stays.
    Keep,
}

/// As many as Linux follows.
const LINKS: u32 = 40;

#[derive(Debug)]
struct Place {
    entry: Entry,
    part: Part,
    /// False for folders that are there only because something is in them.
    meant: bool,
}

/// An image's files. Paths are relative to its root inside, and may be given absolute.
#[derive(Debug)]
pub(crate) struct Tree {
    image: String,
    base: Option<BaseTree>,
    places: BTreeMap<PathBuf, Place>,
}

impl Tree {
    pub(crate) fn new(image: &str, base: Option<BaseTree>) -> Self {
        Self { image: image.to_owned(), base, places: BTreeMap::new() }
    }

    pub(crate) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Puts something at `path`; folders above it come by themselves. Symlinks on the way, the base's too, are followed.
    pub(crate) fn put(
        &mut self,
        path: &Path,
        node: Node,
        mode: u32,
        owner: (u32, u32),
        part: Part,
        taken: Taken,
    ) -> Result<(), BuildError> {
        let path = self.locate_parent(path);
        if path.as_os_str().is_empty() {
            // The root itself is the runtime's.
            return Ok(());
        }
        let there = self.kind(&path);
        if there.is_some() && taken == Taken::Keep {
            return Ok(());
        }
        match (&there, &node) {
            // A folder laid over a link to a folder goes into that folder.
            (Some(Kind::Symlink(_)), Node::Dir) => {
                self.locate(&path);
                return Ok(());
            }
            (Some(Kind::Dir), Node::Dir) | (None | Some(Kind::Symlink(_) | Kind::Other), _) => {}
            (Some(Kind::Dir), _) => return Err(self.conflict(&path, "a folder", "a file")),
        }
        if matches!((&there, &node), (Some(Kind::Other), Node::Dir)) {
            return Err(self.conflict(&path, "a file", "a folder"));
        }
        self.make_parents(&path, part)?;
        let part = match (self.places.get(&path), &node) {
            (Some(old), Node::Dir) => old.part.min(part),
            _ => part,
        };
        let entry = Entry { path: path.clone(), node, mode, owner };
        self.places.insert(path, Place { entry, part, meant: true });
        Ok(())
    }

    fn make_parents(&mut self, path: &Path, part: Part) -> Result<(), BuildError> {
        let above: Vec<PathBuf> = path
            .ancestors()
            .skip(1)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(Path::to_owned)
            .collect();
        for folder in above.into_iter().rev() {
            if let Some(place) = self.places.get_mut(&folder) {
                if !matches!(place.entry.node, Node::Dir) {
                    return Err(self.conflict(&folder, "a file", "a folder"));
                }
                place.part = place.part.min(part);
                continue;
            }
            match self.base.as_ref().and_then(|base| base.kind(&folder)) {
                // The base's folders keep their owners and modes.
                Some(Kind::Dir) => continue,
                Some(_) => return Err(self.conflict(&folder, "a file", "a folder")),
                None => {}
            }
            let entry = Entry { path: folder.clone(), node: Node::Dir, mode: 0o755, owner: (0, 0) };
            let meant = false;
            self.places.insert(folder, Place { entry, part, meant });
        }
        Ok(())
    }

    /// True when `path` leads to something.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        self.kind(&self.locate(path)).is_some()
    }

    /// True when something is at `path` itself, be it a link that leads nowhere.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.kind(&self.locate_parent(path)).is_some()
    }

    /// The text of a file that this tree lays; `None` also when only the base has it.
    pub(crate) fn text(&self, path: &Path) -> Option<String> {
        match &self.places.get(&self.locate(path))?.entry.node {
            Node::File { from, .. } => std::fs::read_to_string(from).ok(),
            Node::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// What the script at `path` is run by; `None` for what is no script, or the base's.
    pub(crate) fn interpreter(&self, path: &Path) -> Option<String> {
        let Node::File { from, .. } = &self.places.get(&self.locate(path))?.entry.node else {
            return None;
        };
        let mut head = Vec::new();
        // As much as Linux looks at. A file that can't be read is found out when its layer is written.
        File::open(from).ok()?.take(256).read_to_end(&mut head).ok()?;
        let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let text = String::from_utf8_lossy(line);
        text.split_whitespace().next().map(str::to_owned)
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        if path.as_os_str().is_empty() {
            return Some(Kind::Dir);
        }
        match self.places.get(path) {
            Some(place) => Some(match &place.entry.node {
                Node::Dir => Kind::Dir,
                Node::Symlink(target) => Kind::Symlink(target.clone()),
                Node::File { .. } | Node::Text(_) | Node::HardLink(_) => Kind::Other,
            }),
            None => self.base.as_ref()?.kind(path),
        }
    }

    /// Where `path` is once every link on the way, its last part excepted, has been followed.
    fn locate_parent(&self, path: &Path) -> PathBuf {
        match path.file_name() {
            Some(name) => self.locate(path.parent().unwrap_or(Path::new(""))).join(name),
            None => PathBuf::new(),
        }
    }

    /// Where `path` is once every link on the way has been followed. What isn't there is taken as written.
    fn locate(&self, path: &Path) -> PathBuf {
        let mut todo: Vec<OsString> = names(path).rev().collect();
        let mut at = PathBuf::new();
        let mut followed = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            match self.kind(&next) {
                Some(Kind::Symlink(target)) if followed < LINKS => {
                    followed += 1;
                    if target.is_absolute() {
                        at = PathBuf::new();
                    }
                    todo.extend(names(&target).rev());
                }
                _ => at = next,
            }
        }
        at
    }

    pub(crate) fn unknown_user(&self, user: &str) -> BuildError {
        BuildError::UnknownUser { image: self.image.clone(), user: user.to_owned() }
    }

    fn conflict(&self, path: &Path, one: &'static str, other: &'static str) -> BuildError {
        BuildError::Conflict { image: self.image.clone(), path: Path::new("/").join(path), one, other }
    }

    /// The layers: each part's entries, sorted. Parts without entries of their own make none.
    pub(crate) fn into_parts(self) -> Vec<(Part, Vec<Entry>)> {
        let mut parts: BTreeMap<Part, (bool, Vec<Entry>)> = BTreeMap::new();
        for (_, place) in self.places {
            let (meant, entries) = parts.entry(place.part).or_default();
            *meant |= place.meant;
            entries.push(place.entry);
        }
        parts
            .into_iter()
            .filter(|(_, (meant, _))| *meant)
            .map(|(part, (_, mut entries))| {
                // A distribution's hard links are part of it. A checkout's are an accident of its tools: another checkout has none.
                if part <= Part::System {
                    link(&mut entries);
                }
                (part, entries)
            })
            .collect()
    }
}

/// Makes the second and later names of a file hard links to its first.
fn link(entries: &mut [Entry]) {
    let mut first: HashMap<(u64, u64, u32, (u32, u32)), PathBuf> = HashMap::new();
    for entry in entries {
        if let Node::File { stat, .. } = &entry.node {
            let identity = (stat.device, stat.inode, entry.mode, entry.owner);
            match first.get(&identity) {
                Some(path) => entry.node = Node::HardLink(path.clone()),
                None => {
                    first.insert(identity, entry.path.clone());
                }
            }
        }
    }
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
