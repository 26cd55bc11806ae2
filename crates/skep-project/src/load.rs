//! The way from a file to a project, step by step.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use skep_model::Project;

use crate::{
    conceal,
    document::{self, ClusterDoc, Document, TARGET_KEYS, TOP_KEYS},
    encrypted::AgeKeys,
    env_file::EnvWarning,
    error::{Fault, Problem, ProjectError},
    fields::Field,
    overlay::{overlay, without},
    resolve,
    tree::{self, Node, Value},
};

/// The target that is always there: this machine.
pub const LOCAL: &str = "local";

/// What to load, and what the world around it is.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// The folder of the project, absolute. Relative paths in the file are of this folder.
    pub root: PathBuf,
    /// The file in it, `skep.yaml`.
    pub file: String,
    /// The target.
    pub target: String,
    /// What `~` means.
    pub home: Option<PathBuf>,
    /// The environment that `{ env: NAME }` reads.
    pub environment: BTreeMap<String, String>,
    /// The keys that encrypted env files are read with.
    pub keys: AgeKeys,
    /// How much of what the file names is read.
    pub reads: Reads,
}

/// How much of what skep.yaml names is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Nothing. A command that ships nothing (`status`, `logs`, `history`) works without the secrets at hand; `config` and `secrets`
    /// have no values then.
    Address,
    /// The registry's password.
    Registry,
    /// The bucket's key pair.
    Bucket,
    /// All that, env files and secrets; and whether named paths exist.
    Everything,
}

/// Runs a command: its text, the folder, and the environment variables that it is not to have.
pub type RunCommand = dyn Fn(&str, &Path, &[String]) -> Result<String, String>;

/// How the world around the file is reached.
pub struct Outside<'r> {
    /// Reads a file whole. Its errors are the operating system's; a folder's must not be `NotFound`.
    pub read: &'r dyn Fn(&Path) -> io::Result<String>,
    /// Runs a shell command in a folder, without these environment variables, and returns what it prints, or why that failed.
    pub run: &'r RunCommand,
}

impl fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside")
    }
}

/// A project, and what deserves a second look in its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The project for the target.
    pub project: Project,
    /// In the order of the files.
    pub warnings: Vec<Warning>,
    /// Where the bucket is, if it is one that hive leaves alone.
    pub bucket_elsewhere: Option<String>,
}

/// Something in an env file that is read, but perhaps not as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub file: PathBuf,
    /// What.
    pub warning: EnvWarning,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.warning)
    }
}

type Read<'r> = &'r dyn Fn(&Path) -> io::Result<String>;

/// Loads the project for one target. The file is checked for every target that it names, so that a slip in
/// `production` is found while working on `local`.
///
/// # Errors
/// When the file or one that it names can't be read, isn't YAML, or says something that has no meaning; when there is
/// no such target; when a secret stands in the file, is missing, or would be readable as config.
pub fn load(request: &LoadRequest, outside: &Outside<'_>) -> Result<Loaded, ProjectError> {
    let path = request.root.join(&request.file);
    let (root, text) = parse(&path, outside.read)?;
    let shown = |fault: Fault| fault.into_error(&path, Some(conceal::concealed(&text, &root)));
    let mut names = target_names(&root).map_err(shown)?;
    if !names.contains(&request.target) {
        return Err(shown(Fault {
            at: root.get("targets").map(|entry| entry.key_at),
            path: String::new(),
            problem: Box::new(Problem::UnknownTarget { target: request.target.clone(), known: names }),
            file: None,
        }));
    }
    names.retain(|name| *name != request.target);
    let (document, cluster) = of_target(&root, &request.target).map_err(shown)?;
    let others = names.iter().map(|name| Ok(of_target(&root, name)?.0)).collect::<Result<Vec<_>, _>>();
    resolve::project(request, outside, &document, &cluster, &others.map_err(shown)?).map_err(shown)
}

/// The targets that a file has, `local` among them, sorted.
///
/// # Errors
/// When the file can't be read, isn't YAML, or its `targets` is no mapping.
pub fn targets(path: &Path, read: Read<'_>) -> Result<Vec<String>, ProjectError> {
    let (root, text) = parse(path, read)?;
    target_names(&root).map_err(|fault| fault.into_error(path, Some(conceal::concealed(&text, &root))))
}

fn parse(path: &Path, read: Read<'_>) -> Result<(Node, String), ProjectError> {
    let text = read(path).map_err(|error| {
        let why = resolve::reason(&error);
        let fault = Fault {
            at: None,
            path: String::new(),
            problem: Box::new(Problem::Unreadable { why }),
            file: None,
        };
        fault.into_error(path, None)
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    match tree::parse(&text) {
        Ok(root) => Ok((root, text)),
        // Without a tree nothing says which lines hold secrets.
        Err(fault) => Err(fault.into_error(path, None)),
    }
}

fn target_names(root: &Node) -> Result<Vec<String>, Fault> {
    let top = Field::root(root).fields(TOP_KEYS)?;
    let mut names = top.read("targets", |field| field.named(|_, _| Ok(())))?.unwrap_or_default();
    names.insert(LOCAL.to_owned(), ());
    Ok(names.into_keys().collect())
}

/// The document as one target sees it.
fn of_target(root: &Node, name: &str) -> Result<(Document, ClusterDoc), Fault> {
    let base = without(root, &["targets"]);
    let entry = root.get("targets").and_then(|targets| targets.node.get(name));
    let Some(entry) = entry.filter(|entry| !entry.node.is_null() || name != LOCAL) else {
        let document = Document::read(&Field::root(&without(&base, &["registry", "platforms"])))?;
        return Ok((document, ClusterDoc::Hive));
    };
    let field = Field { node: &entry.node, key_at: entry.key_at, path: format!("targets/{name}") };
    field.fields(TARGET_KEYS)?;
    let cluster = document::cluster(name, &field)?;
    let base = match cluster {
        // Hive has a registry of its own and runs this machine's programs, whatever production does.
        ClusterDoc::Hive => without(&base, &["registry", "platforms"]),
        ClusterDoc::Kubeconfig { .. } => base,
    };
    let merged = overlay(&base, &without(&entry.node, &["kubeconfig", "context"]));
    let document =
        Document::read(&Field::root(&merged)).map_err(|fault| in_target(fault, name, &entry.node))?;
    Ok((document, cluster))
}

/// Names the target in the path of a fault that stands in its overrides.
fn in_target(mut fault: Fault, name: &str, node: &Node) -> Fault {
    let overrides = offsets(node);
    if fault.at.is_some_and(|at| overrides.contains(&at.offset)) {
        fault.path = format!("targets/{name}/{}", fault.path).trim_end_matches('/').to_owned();
    }
    fault
}

fn offsets(node: &Node) -> Vec<usize> {
    let below: Vec<usize> = match &node.value {
        Value::Scalar { .. } => Vec::new(),
        Value::List(nodes) => nodes.iter().flat_map(offsets).collect(),
        Value::Map(entries) => entries
            .iter()
            .flat_map(|entry| std::iter::once(entry.key_at.offset).chain(offsets(&entry.node)))
            .collect(),
    };
    std::iter::once(node.at.offset).chain(below).collect()
}
