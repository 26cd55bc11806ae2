//! What can be wrong with manifests, as data, with file and line.

use std::{fmt, path::Path};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use thiserror::Error;

use crate::object::{Object, Place};

/// Manifests that can't be used.
///
/// Its text is one line, `deploy/api.yaml:12:7: Deployment/api: …`; as a [`Diagnostic`] it shows the line as well, unless
/// the file holds a Secret or the problem is the type of a value.
#[derive(Debug)]
pub struct ManifestError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    object: Option<String>,
    problem: Problem,
    source: Option<NamedSource<String>>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not YAML, or YAML that has no meaning in JSON.
    #[error("not valid YAML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// Bytes that are neither UTF-8 nor UTF-16 with a byte order mark.
    #[error("not valid UTF-8: byte 0x{byte:02x}")]
    NotUtf8 {
        /// The first byte that can't be read.
        byte: u8,
    },
    /// A document that isn't a Kubernetes object.
    #[error("expected a Kubernetes object, found {found}")]
    NoObject {
        /// `null`, `a plain value`.
        found: String,
    },
    /// A key is there twice.
    #[error("the key `{key}` is already on line {first_line}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it is first.
        first_line: usize,
    },
    /// An object that lacks what every object has.
    #[error("`{field}` is missing")]
    Missing {
        /// `apiVersion`, `kind` or `metadata.name`.
        field: &'static str,
    },
    /// A field of another type.
    #[error("`{field}` should be {expected}, but is {found}")]
    WrongType {
        /// `metadata.name`.
        field: String,
        /// `a string`.
        expected: &'static str,
        /// `a number`, `the boolean true`.
        found: String,
    },
    /// The same object twice in one folder.
    #[error("the same object is already at {first}")]
    DuplicateObject {
        /// `deploy/api.yaml:3`.
        first: String,
    },
    /// An object of another namespace.
    #[error("its namespace is `{found}`, but the app lives in `{expected}`")]
    ForeignNamespace {
        /// As written.
        found: String,
        /// The app's.
        expected: String,
    },
    /// An object that can't be what it is used as.
    #[error("{message}")]
    Unusable {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl ManifestError {
    pub(crate) fn new(place: &Place, object: Option<String>, problem: Problem) -> Self {
        let text = &place.source.text;
        // The line of a value that should be a string is the value: of an environment variable, for one.
        let may_hold_secrets = text.contains("Secret") || matches!(problem, Problem::WrongType { .. });
        let source = (!may_hold_secrets).then(|| {
            NamedSource::new(place.source.path.display().to_string(), text.clone()).with_language("yaml")
        });
        Self(Box::new(Inner { place: place.clone(), object, problem, source }))
    }

    /// An error about the field at `pointer` of an object.
    pub(crate) fn at(object: &Object, pointer: &str, problem: Problem) -> Self {
        Self::new(object.place(pointer), Some(object.name()), problem)
    }

    /// An error at a place that the caller found wrong: an image that nobody builds, for one.
    pub fn unusable(place: &Place, object: &str, message: &str, hint: &str) -> Self {
        let (message, hint) = (message.to_owned(), hint.to_owned());
        Self::new(place, Some(object.to_owned()), Problem::Unusable { message, hint })
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Where.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The file it is in.
    pub fn file(&self) -> &Path {
        self.0.place.file()
    }

    fn is_on_a_template(&self) -> bool {
        let place = &self.0.place;
        let line = place.source.text.lines().nth(place.line.saturating_sub(1));
        line.is_some_and(|line| line.contains("{{") || line.contains("{%"))
    }

    fn is_a_namespace(&self) -> bool {
        self.0.object.as_ref().is_some_and(|object| object.starts_with("Namespace/"))
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self.problem() {
            Problem::Syntax { .. } if self.is_on_a_template() => Some(
                "`{{ }}` belongs to a template engine; manifests are plain YAML, and what differs by target goes into a \
                 later manifests folder"
                    .to_owned(),
            ),
            Problem::Syntax { .. } => None,
            Problem::WrongType { expected, .. } if *expected != "a string" => None,
            Problem::WrongType { .. } => Some(
                "quote it: in a manifest an unquoted on, off, yes, no, y or n is a boolean, and 0400 is octal".to_owned(),
            ),
            Problem::DuplicateKey { .. } => Some("keep one of the two: Kubernetes would silently take one".to_owned()),
            Problem::NotUtf8 { .. } => Some("save the file as UTF-8".to_owned()),
            Problem::NoObject { .. } | Problem::Missing { .. } => Some(
                "complete the object, or move the file out of the folders that `manifests` names".to_owned(),
            ),
            Problem::DuplicateObject { .. } => Some(
                "keep one of the two; to change an object for one target, put the change in a later manifests folder"
                    .to_owned(),
            ),
            Problem::ForeignNamespace { expected, .. } if self.is_a_namespace() => Some(format!(
                "an app lives in one namespace: name it `{expected}`, or leave it to another app"
            )),
            Problem::ForeignNamespace { expected, .. } => Some(format!(
                "take `namespace:` out of the manifest, or write `namespace: {expected}`"
            )),
            Problem::Unusable { hint, .. } => Some(hint.clone()).filter(|hint| !hint.is_empty()),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.0.place;
        write!(f, "{}:{}:{}: ", place.file().display(), place.line, place.column)?;
        if let Some(object) = &self.0.object {
            write!(f, "{object}: ")?;
        }
        write!(f, "{}", self.0.problem)
    }
}

impl std::error::Error for ManifestError {}

impl Diagnostic for ManifestError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.source.as_ref()?;
        let place = &self.0.place;
        let label = LabeledSpan::new(Some("here".to_owned()), place.offset, place.len);
        Some(Box::new(std::iter::once(label)))
    }
}
