//! Short ways to objects.

use serde_json::Value;
use skep_manifest::{ManifestError, Manifests, Object, SourceFile, read};

pub(crate) fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.into(), text: text.to_owned() }
}

pub(crate) fn try_read(text: &str) -> Result<Manifests, ManifestError> {
    read([file("deploy/api.yaml", text)])
}

pub(crate) fn objects(text: &str) -> Vec<Object> {
    match try_read(text) {
        Ok(manifests) => manifests.objects,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn values(text: &str) -> Vec<Value> {
    objects(text).into_iter().map(|object| object.value).collect()
}

pub(crate) fn value(text: &str) -> Value {
    values(text).remove(0)
}
