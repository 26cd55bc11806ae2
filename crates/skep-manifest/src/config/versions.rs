//! Which names are versions, by what releases and objects say. A name alone is no proof: `conf-20240115` may be a version of
//! `conf`, or a ConfigMap that somebody named so.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use skep_model::{ObjectKey, Release};

use super::{COPY_OF, VERSION_OF, hash::is_version};

/// The known versions of ConfigMaps and Secrets, and the plain name of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<(String, String), String>);

impl Versions {
    /// Returns the versions among these objects, by their annotation.
    pub fn of_objects<'o>(objects: impl IntoIterator<Item = &'o Value>) -> Self {
        let mut versions = Self::default();
        objects.into_iter().for_each(|object| versions.learn(object));
        versions
    }

    /// Returns the versions of a release. Its Secrets, and versions that it only refers to, are known by their keys alone: a key that
    /// is neither a plain copy nor an object of the release, and is named as a version is, is a version.
    pub fn of_release(release: &Release) -> Self {
        let mut versions = Self::of_objects(&release.objects);
        for (plain, version) in &release.secrets {
            versions.insert("Secret", version, plain);
        }
        let written: BTreeSet<ObjectKey> = release.objects.iter().filter_map(ObjectKey::of).collect();
        let is_plain = |key: &ObjectKey| {
            release.secrets.contains_key(&key.name)
                || written.contains(key)
                || release.sources.contains_key(&key.to_string())
        };
        let is_config =
            |key: &&ObjectKey| matches!(key.kind.as_str(), "ConfigMap" | "Secret") && !is_plain(key);
        for key in release.inventory.iter().filter(is_config) {
            if let Some((plain, suffix)) = key.name.rsplit_once('-')
                && is_version(suffix)
            {
                versions.insert(&key.kind, &key.name, plain);
            }
        }
        versions
    }

    /// Adds the versions that another source knows.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the plain name of a version, `honeydue-config` of `honeydue-config-4f9a1c2b`; `None` for any other name.
    pub fn plain_name(&self, kind: &str, name: &str) -> Option<&str> {
        self.0.get(&(kind.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Returns whether an object is a known version.
    pub fn contains(&self, key: &ObjectKey) -> bool {
        key.api_version == "v1" && self.plain_name(&key.kind, &key.name).is_some()
    }

    fn learn(&mut self, object: &Value) {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let annotation =
            |name: &str| object.pointer("/metadata/annotations").and_then(|all| all.get(name)?.as_str());
        let (Some(kind), Some(name)) = (text("/kind"), text("/metadata/name")) else { return };
        if let Some(plain) = annotation(VERSION_OF) {
            self.insert(kind, name, plain);
        }
        if let Some(version) = annotation(COPY_OF) {
            self.insert(kind, version, name);
        }
    }

    fn insert(&mut self, kind: &str, version: &str, plain: &str) {
        self.0.insert((kind.to_owned(), version.to_owned()), plain.to_owned());
    }
}
