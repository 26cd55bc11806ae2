//! An object and the lines of the file it was written in.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use skep_model::ObjectKey;

/// A manifest file as read.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// How messages name it.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// Shows the path only: the text may hold a Secret.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A place in a manifest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(crate) source: Arc<SourceFile>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In bytes.
    pub(crate) offset: usize,
    /// In bytes, on the first line only.
    pub(crate) len: usize,
}

impl Place {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.source.path
    }
}

/// `deploy/api.yaml:12`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source.path.display(), self.line)
    }
}

/// One object of the manifests.
#[derive(Clone, PartialEq)]
pub struct Object {
    /// The object. It has `apiVersion`, `kind` and `metadata.name`.
    pub value: Value,
    /// Where it begins.
    pub origin: Place,
    /// JSON pointer → where that field is written.
    pub(crate) places: BTreeMap<String, Place>,
}

/// Shows which object it is and where, but no contents: it may be a Secret.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name(), self.origin)
    }
}

impl Object {
    /// `Deployment/api`.
    pub fn name(&self) -> String {
        let text = |pointer| self.value.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
        format!("{}/{}", text("/kind"), text("/metadata/name"))
    }

    /// Its key; every object that [`crate::read`] returns has one.
    pub fn key(&self) -> Option<ObjectKey> {
        ObjectKey::of(&self.value)
    }

    /// Where the field at a JSON pointer is written, or the nearest field around it.
    pub fn place(&self, pointer: &str) -> &Place {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return place;
            }
            match pointer.rsplit_once('/') {
                Some((around, _)) => pointer = around,
                None => return &self.origin,
            }
        }
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer).and_then(Value::as_str)
    }
}

/// A key as a part of a JSON pointer (RFC 6901).
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
