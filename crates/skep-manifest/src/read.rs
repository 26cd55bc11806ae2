//! Files → objects.

use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc};

use serde_json::Value;

use crate::{
    error::{ManifestError, Problem},
    object::{Object, Place, SourceFile},
    strings,
    yaml::{self, Document},
};

/// What a set of manifest files holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifests {
    /// In the order of the files, and of the documents in each.
    pub objects: Vec<Object>,
    /// Documents that are known to be no Kubernetes object.
    pub ignored: Vec<Ignored>,
}

/// A document that was read and left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The file.
    pub file: PathBuf,
    /// The line that the document begins on, from 1.
    pub line: usize,
    /// Why, as the end of `kustomization.yaml is ignored: …`.
    pub why: &'static str,
}

/// Whether kubectl takes a file of a folder for a manifest, by its extension: `.yaml`, `.yml` or `.json`.
pub fn is_manifest_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension
        .is_some_and(|extension| matches!(extension.to_ascii_lowercase().as_str(), "yaml" | "yml" | "json"))
}

/// Reads manifests as kubectl does: YAML 1.1 words and octals, several documents, Lists, JSON. Every file is read, whatever its
/// extension; the caller chooses them by [`is_manifest_file`].
///
/// Comments and empty documents yield nothing. Kustomize's own file is listed in [`Manifests::ignored`].
///
/// # Errors
/// When a file isn't YAML, repeats a key, has content and no object, or holds a document without `apiVersion`, `kind` or
/// `metadata.name`.
pub fn read(files: impl IntoIterator<Item = SourceFile>) -> Result<Manifests, ManifestError> {
    let mut manifests = Manifests::default();
    for file in files {
        let source = Arc::new(file);
        let found = manifests.objects.len() + manifests.ignored.len();
        let mut empty = None;
        for document in yaml::documents(&source)? {
            let Document { value, place, places } = document;
            match kind_of(&value) {
                Kind::Null => empty = empty.or(Some(place)),
                Kind::Kustomization => manifests.ignored.push(Ignored {
                    file: source.path.clone(),
                    line: place.line,
                    why: "Skep applies manifests as written; list the output of `kubectl kustomize` in `manifests` instead",
                }),
                Kind::List => manifests.list(value, &place, &places)?,
                Kind::Object => manifests.objects.push(object(value, place, places)?),
                Kind::Other(found) => return Err(ManifestError::new(&place, None, Problem::NoObject { found })),
            }
        }
        let yields_nothing = manifests.objects.len() + manifests.ignored.len() == found;
        if let Some(place) = empty.filter(|_| yields_nothing) {
            return Err(ManifestError::new(&place, None, Problem::NoObject { found: "null".to_owned() }));
        }
    }
    Ok(manifests)
}

enum Kind {
    Null,
    Kustomization,
    List,
    Object,
    /// Not an object, and what it is instead.
    Other(String),
}

fn kind_of(value: &Value) -> Kind {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Null => return Kind::Null,
        Value::Array(_) => {
            return Kind::Other("a list; `kind: List` with `items` holds several objects".to_owned());
        }
        _ => return Kind::Other("a plain value".to_owned()),
    };
    let text = |key| value.get(key).and_then(Value::as_str).unwrap_or_default();
    if !fields.contains_key("apiVersion") && !fields.contains_key("kind") {
        let misspelt =
            fields.keys().find(|key| ["apiversion", "kind"].contains(&key.to_lowercase().as_str()));
        return Kind::Other(match misspelt {
            Some(key) => format!("a mapping with `{key}`; keys are case-sensitive: `apiVersion`, `kind`"),
            None => "a mapping with neither `apiVersion` nor `kind`".to_owned(),
        });
    }
    if text("apiVersion").starts_with("kustomize.config.k8s.io/") {
        return Kind::Kustomization;
    }
    match text("kind").ends_with("List")
        && value.get("items").is_some_and(|items| items.is_array() || items.is_null())
    {
        true => Kind::List,
        false => Kind::Object,
    }
}

impl Manifests {
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
        let items = match list["items"].take() {
            Value::Array(items) if !items.is_empty() => items,
            _ => {
                let found = "a List without items".to_owned();
                return Err(ManifestError::new(place, None, Problem::NoObject { found }));
            }
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
