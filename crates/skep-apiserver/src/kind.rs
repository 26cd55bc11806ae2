//! What a kind is to this server: its names, what it can do, and the rules its objects obey.
//!
//! The tables themselves are in [`crate::kinds`], one file per API group.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde_json::Value;

use crate::decode::Decoded;
use crate::kinds;
use crate::table::Columns;
use crate::validate::Causes;

/// A kind that this server knows. Cheap to copy; equal when group and kind are.
#[derive(Clone, Copy)]
pub struct Kind(pub(crate) &'static KindInfo);

/// Everything that is the same for all objects of one kind.
#[derive(Debug)]
pub struct KindInfo {
    /// API group; empty for core.
    pub group: &'static str,
    /// The one version that is served.
    pub version: &'static str,
    /// `Deployment`.
    pub kind: &'static str,
    /// `deployments`.
    pub plural: &'static str,
    /// `deployment`.
    pub singular: &'static str,
    /// What kubectl takes for short: `deploy`.
    pub short_names: &'static [&'static str],
    /// What kubectl takes for several kinds at once: `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What can be asked under an object's path.
    pub subresources: Subresources,
    /// Whether `metadata.generation` counts changes of the wish.
    pub generation: bool,
    /// Why objects can't be created, for a kind that nothing would act upon.
    pub refused: Option<&'static str>,
    /// How objects are checked.
    pub(crate) rules: Rules,
    /// How `kubectl get` shows objects.
    pub(crate) columns: &'static Columns,
}

/// What can be asked under an object's path besides the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subresources {
    /// `/status`.
    pub status: bool,
    /// `/scale`.
    pub scale: bool,
    /// `/log`.
    pub log: bool,
    /// `/eviction`.
    pub eviction: bool,
}

/// The rules of one kind, as functions over JSON.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// Reads the object as its type: names what does not belong, fails on a wrong type.
    pub(crate) decode: fn(&Value) -> Decoded,
    /// Fills in what the user left out.
    pub(crate) default: fn(&mut Value),
    /// What is wrong with an object on its own.
    pub(crate) validate: fn(&Value, &mut Causes),
    /// What is wrong with a change: new, old.
    pub(crate) validate_update: fn(&Value, &Value, &mut Causes),
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules")
    }
}

/// The name of one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, unless the kind has none.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl Kind {
    /// The table's row.
    #[must_use]
    pub fn info(self) -> &'static KindInfo {
        self.0
    }

    /// `Deployment`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.kind
    }

    /// `v1`, `apps/v1`.
    #[must_use]
    pub fn api_version(self) -> String {
        match self.0.group {
            "" => self.0.version.to_owned(),
            group => format!("{group}/{}", self.0.version),
        }
    }

    /// `deployments.apps`, `pods`: how messages name the resource.
    #[must_use]
    pub fn resource(self) -> String {
        with_group(self.0.plural, self.0.group)
    }

    /// `Deployment.apps`, `Pod`: how messages about invalid objects name the kind.
    #[must_use]
    pub fn qualified(self) -> String {
        with_group(self.0.kind, self.0.group)
    }

    /// Whether objects live in a namespace.
    #[must_use]
    pub fn namespaced(self) -> bool {
        self.0.namespaced
    }

    /// The built-in kind that an object says it is: `apiVersion` and `kind`.
    #[must_use]
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        kinds::ALL.iter().copied().find(|k| k.0.kind == kind && k.0.group == group && k.0.version == version)
    }

    /// The built-in kind under a path: group, version, plural.
    #[must_use]
    pub fn find_plural(group: &str, version: &str, plural: &str) -> Option<Self> {
        kinds::ALL
            .iter()
            .copied()
            .find(|k| k.0.plural == plural && k.0.group == group && k.0.version == version)
    }
}

fn with_group(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || (self.0.kind == other.0.kind && self.0.group == other.0.group)
    }
}

impl Eq for Kind {}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.kind.hash(state);
        self.0.group.hash(state);
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.qualified())
    }
}
