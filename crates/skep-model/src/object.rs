//! The identity of a Kubernetes object.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names one object of a cluster. Ordered by kind, then namespace, then name, so that lists read well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectKey {
    /// `Deployment`.
    pub kind: String,
    /// Absent for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// `apps/v1`.
    pub api_version: String,
}

impl ObjectKey {
    /// The key of an object's JSON, or `None` if it lacks `apiVersion`, `kind` or `metadata.name`.
    pub fn of(object: &Value) -> Option<Self> {
        Some(Self {
            kind: object.get("kind")?.as_str()?.to_owned(),
            namespace: object.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned),
            name: object.pointer("/metadata/name")?.as_str()?.to_owned(),
            api_version: object.get("apiVersion")?.as_str()?.to_owned(),
        })
    }

    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether both name the same object, whatever version of its group each was written in.
    pub fn same_object(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.name == other.name
            && self.namespace == other.namespace
            && self.group() == other.group()
    }
}

/// `Deployment/api`: how people and messages name an object.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_of_a_group_are_one_object() {
        let key = |version: &str| {
            ObjectKey::of(&json!({"apiVersion": version, "kind": "Deployment", "metadata": {"name": "api"}}))
                .expect("a key")
        };
        assert!(key("apps/v1").same_object(&key("apps/v1beta1")));
        assert!(!key("apps/v1").same_object(&key("v1")));
        assert_eq!(key("v1").group(), "");
    }
}
