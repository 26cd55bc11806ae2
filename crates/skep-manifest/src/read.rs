//! Files → objects.

use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc};

use serde_json::Value;

use crate::{
    error::{ManifestError, Problem},
    object::{Object, Place, SourceFile},
    strings,
    yaml::{self, Document},
};

/// What a folder of manifests holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifests {
    /// In the order of the files, and of the documents in each.
    pub objects: Vec<Object>,
    /// What was not taken for a manifest.
    pub ignored: Vec<Ignored>,
}

/// A file, or a document of one, that is no manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The file.
    pub file: PathBuf,
    /// The line that the document begins on, from 1.
    pub line: usize,
    /// Why it is none, `not a .yaml, .yml or .json file`.
    pub why: &'static str,
}

/// Reads manifests as kubectl does: YAML 1.1 words and octals, several documents, Lists, JSON.
///
/// A file that isn't `.yaml`, `.yml` or `.json`, a document with neither `apiVersion` nor `kind`, and kustomize's own
/// file are no manifests: they are listed and left alone.
///
/// # Errors
/// When a file isn't YAML, repeats a key, or holds an object without `apiVersion`, `kind` or `metadata.name`.
pub fn read(files: impl IntoIterator<Item = SourceFile>) -> Result<Manifests, ManifestError> {
    let mut manifests = Manifests::default();
    for file in files {
        let source = Arc::new(file);
        if !is_manifest_file(&source.path) {
            manifests.ignore(&source, 1, "not a .yaml, .yml or .json file");
            continue;
        }
        for document in yaml::documents(&source)? {
            let Document { value, place, places } = document;
            match kind_of(&value) {
                Kind::Nothing => manifests.ignore(&source, place.line, "neither `apiVersion` nor `kind`"),
                Kind::Kustomization => manifests.ignore(&source, place.line, "kustomize's own file"),
                Kind::List => manifests.list(value, &place, &places)?,
                Kind::Object => manifests.objects.push(object(value, place, places)?),
            }
        }
    }
    Ok(manifests)
}

fn is_manifest_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension
        .is_some_and(|extension| matches!(extension.to_ascii_lowercase().as_str(), "yaml" | "yml" | "json"))
}

enum Kind {
    Nothing,
    Kustomization,
    List,
    Object,
}

fn kind_of(value: &Value) -> Kind {
    let text = |key| value.get(key).and_then(Value::as_str).unwrap_or_default();
    if value.get("apiVersion").is_none() && value.get("kind").is_none() {
        return Kind::Nothing;
    }
    if text("apiVersion").starts_with("kustomize.config.k8s.io/") {
        return Kind::Kustomization;
    }
    match text("kind").ends_with("List") && value.get("items").is_some_and(Value::is_array) {
        true => Kind::List,
        false => Kind::Object,
    }
}

impl Manifests {
    fn ignore(&mut self, source: &SourceFile, line: usize, why: &'static str) {
        let file = source.path.clone();
        self.ignored.push(Ignored { file, line, why });
    }

    /// Takes a `List` apart. The items of a typed list (`ConfigMapList`) may leave out what its name says.
    fn list(
        &mut self,
        mut list: Value,
        place: &Place,
        places: &BTreeMap<String, Place>,
    ) -> Result<(), ManifestError> {
        let of =
            list["kind"].as_str().and_then(|kind| kind.strip_suffix("List")).unwrap_or_default().to_owned();
        let version = list["apiVersion"].clone();
        let Value::Array(items) = list["items"].take() else {
            return Ok(());
        };
        for (index, mut item) in items.into_iter().enumerate() {
            let prefix = format!("/items/{index}");
            let origin = places.get(&prefix).unwrap_or(place).clone();
            if let (false, Value::Object(map)) = (of.is_empty(), &mut item) {
                map.entry("apiVersion").or_insert_with(|| version.clone());
                map.entry("kind").or_insert_with(|| of.clone().into());
            }
            let below = places.iter().filter_map(|(pointer, place)| {
                let rest = pointer.strip_prefix(&prefix)?;
                rest.starts_with('/').then(|| (rest.to_owned(), place.clone()))
            });
            let below = below.collect();
            self.objects.push(object(item, origin, below)?);
        }
        Ok(())
    }
}

/// An object that has what every object must have.
fn object(value: Value, origin: Place, places: BTreeMap<String, Place>) -> Result<Object, ManifestError> {
    let object = Object { value, origin, places };
    for (pointer, field) in
        [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
    {
        let problem = match object.value.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => continue,
            None | Some(Value::Null) | Some(Value::String(_)) => Problem::Missing { field },
            Some(_) => continue,
        };
        return Err(ManifestError::at(&object, pointer, problem));
    }
    strings::check(&object)?;
    Ok(object)
}
