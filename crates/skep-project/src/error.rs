//! What can be wrong with a project, as data; the text is made here and nowhere else.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use thiserror::Error;

use crate::{encrypted::is_encrypted, env_file::EnvError, tree::At};

/// A project that can't be loaded: what, where, expected, found, and a hint.
///
/// Its text is one line, `skep.yaml:4:12: images/api/native/run: should be a string, but is a list`; as a
/// [`Diagnostic`] it also shows the line of the file, with the values of secrets replaced by `*`. A file that can't be parsed
/// shows no line.
#[derive(Debug)]
pub struct ProjectError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    fault: Fault,
    source: Option<NamedSource<String>>,
}

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// What is wrong. Lists of names are sorted as the reference lists them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file can't be read.
    #[error("can't be read: {why}")]
    Unreadable {
        /// The operating system's reason.
        why: String,
    },
    /// Not YAML.
    #[error("not valid YAML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A key is there twice.
    #[error("the key `{key}` is already on line {first_line}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it is first.
        first_line: usize,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that do.
        known: Vec<&'static str>,
    },
    /// A required key is absent.
    #[error("`{key}` is missing: {why}")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// A value of another type.
    #[error("should be {expected}, but is {found}")]
    WrongType {
        /// `a string`, `a list of strings`.
        expected: &'static str,
        /// `the number 7`, `a mapping`.
        found: String,
    },
    /// A value of the right type that can't be used.
    #[error("{message}")]
    BadValue {
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Two keys that can't both be there.
    #[error("`{first}` and `{second}` can't both be given")]
    Exclusive {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The target isn't there.
    #[error("no target is called `{target}`")]
    UnknownTarget {
        /// As asked for.
        target: String,
        /// The targets that are.
        known: Vec<String>,
    },
    /// A file or folder that skep.yaml names isn't there.
    #[error("{what} `{}` can't be read: {why}", path.display())]
    MissingFile {
        /// `the env file`, `the manifests folder`.
        what: &'static str,
        /// The absolute path.
        path: PathBuf,
        /// The operating system's reason.
        why: String,
    },
    /// A secret's value stands in skep.yaml.
    #[error("a secret's value may not stand in this file")]
    SecretLiteral,
    /// A secret key would be readable in a ConfigMap as well.
    #[error("the key `{key}` is a secret in `{secret}` and would also land in the ConfigMap `{config}`")]
    SecretInConfig {
        /// The key.
        key: String,
        /// The set of secrets.
        secret: String,
        /// The set of config.
        config: String,
    },
    /// An environment variable isn't set.
    #[error("the environment variable `{name}` is not set")]
    MissingVariable {
        /// Its name.
        name: String,
    },
    /// A line of an env file can't be read.
    #[error(transparent)]
    EnvFile(#[from] EnvError),
}

/// A problem and its place, before the file is known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: Option<At>,
    /// `images/api/native/run`, empty for the file as a whole.
    pub(crate) path: String,
    pub(crate) problem: Box<Problem>,
    /// Set when the fault is in another file than skep.yaml.
    pub(crate) file: Option<PathBuf>,
}

impl Fault {
    pub(crate) fn new(at: At, path: &str, problem: Problem) -> Self {
        Self { at: Some(at), path: path.to_owned(), problem: Box::new(problem), file: None }
    }

    pub(crate) fn syntax(at: At, message: &str) -> Self {
        let message = message.to_owned();
        Self::new(at, "", Problem::Syntax { message })
    }

    pub(crate) fn bad(at: At, path: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self::new(at, path, Problem::BadValue { message, hint })
    }

    /// The fault as the user's error. `shown` is the file's text without its secrets; a fault in another file shows no line.
    pub(crate) fn into_error(self, file: &Path, shown: Option<String>) -> ProjectError {
        let here = self.file.as_deref().unwrap_or(file).to_owned();
        let shown = shown.filter(|_| self.file.is_none());
        let source =
            shown.map(|text| NamedSource::new(here.display().to_string(), text).with_language("yaml"));
        ProjectError(Box::new(Inner { file: here, fault: self, source }))
    }
}

impl ProjectError {
    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.fault.problem
    }

    /// Where it is; without line for a file that is absent or a target that isn't in it.
    pub fn location(&self) -> Option<Location> {
        self.0.fault.at.map(|at| Location { file: self.0.file.clone(), line: at.line, column: at.column })
    }

    /// The file that it is in.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// The key that it is about, as `images/api/native/run`; empty for the file as a whole.
    pub fn path(&self) -> &str {
        &self.0.fault.path
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self.problem() {
            Problem::UnknownKey { key, known } => Some(match closest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            }),
            Problem::UnknownTarget { target, known } => {
                let list = format!("the targets are: {}", known.join(", "));
                Some(match closest(target, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? {list}"),
                    None => list,
                })
            }
            Problem::BadValue { hint, .. } => Some(hint.clone()).filter(|hint| !hint.is_empty()),
            Problem::DuplicateKey { .. } => Some("keep one of the two".to_owned()),
            Problem::MissingKey { key, .. } => Some(format!("add `{key}:`")),
            Problem::MissingFile { path, why, .. } if is_encrypted(path) && why.contains("UTF-8") => {
                Some("it should be an armored age file, as `skep secret set` or `age --armor` writes it".to_owned())
            }
            Problem::MissingFile { path, .. } if is_encrypted(path) => {
                Some("`skep secret set NAME` makes it, with the first value that is put into it".to_owned())
            }
            Problem::MissingFile { .. } => Some("paths are relative to the folder of skep.yaml".to_owned()),
            Problem::SecretLiteral => Some(
                "name where it is read from: `{ env: NAME }`, `{ file: PATH }`, `{ env-file: PATH, key: KEY }` or `{ command: '…' }`"
                    .to_owned(),
            ),
            Problem::SecretInConfig { key, config, .. } => Some(format!(
                "leave it out of the ConfigMap: `config: {{ {config}: {{ except: [{key}] }} }}`"
            )),
            Problem::MissingVariable { name } => Some(format!("run again with `{name}=… skep …`, or export it")),
            Problem::EnvFile(error) => Some(error.hint().to_owned()),
            Problem::Unreadable { .. } => Some("`-C DIR` says where the project is".to_owned()),
            Problem::Exclusive { first, second } => Some(format!("keep either `{first}` or `{second}`")),
            Problem::Syntax { .. } | Problem::WrongType { .. } => None,
        }
    }
}

/// The name that was probably meant.
fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.file.display())?;
        if let Some(at) = self.0.fault.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        if !self.0.fault.path.is_empty() {
            write!(f, ": {}", self.0.fault.path)?;
        }
        write!(f, ": {}", self.0.fault.problem)
    }
}

impl std::error::Error for ProjectError {}

impl Diagnostic for ProjectError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let at = self.0.fault.at.filter(|_| self.0.source.is_some())?;
        let label = LabeledSpan::new(Some("here".to_owned()), at.offset, at.len);
        Some(Box::new(std::iter::once(label)))
    }
}
