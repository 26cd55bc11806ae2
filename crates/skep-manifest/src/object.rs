//! An object and the lines of the file it was written in.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use skep_model::ObjectKey;

use crate::error::{ManifestError, Problem};

/// A manifest file as read.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// How messages name it.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

impl SourceFile {
    /// Decodes a file as kubectl does: UTF-8, or UTF-16 of either byte order behind its mark.
    ///
    /// # Errors
    /// When the bytes are neither, with line and column of the first that isn't.
    pub fn decode(path: PathBuf, bytes: Vec<u8>) -> Result<Self, ManifestError> {
        let utf16 = |unit: fn([u8; 2]) -> u16| {
            let units = bytes[2..].chunks(2).map(|pair| unit([pair[0], pair.get(1).copied().unwrap_or(0)]));
            char::decode_utf16(units)
                .collect::<Result<String, _>>()
                .ok()
                .filter(|_| bytes.len().is_multiple_of(2))
        };
        let decoded = match bytes.get(..2) {
            Some([0xff, 0xfe]) => utf16(u16::from_le_bytes),
            Some([0xfe, 0xff]) => utf16(u16::from_be_bytes),
            _ => None,
        };
        if let Some(text) = decoded {
            return Ok(Self { path, text });
        }
        String::from_utf8(bytes).map(|text| Self { path: path.clone(), text }).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let (before, rest) = error.as_bytes().split_at(valid);
            let before = String::from_utf8_lossy(before);
            let byte = rest.first().copied().unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let source = Arc::new(Self { path, text });
            let place = Place { source, line, column, offset: valid, len: 0 };
            ManifestError::new(&place, None, Problem::NotUtf8 { byte })
        })
    }
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
