//! An object as the API tells it, for those who only look: the JSON itself, decoded once, without who wrote which field of it.

use std::borrow::Cow;

use kube::{
    Resource,
    api::ApiResource,
    core::{DynamicResourceScope, ObjectMeta},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What a watch brings. A thousand pods change thousands of times in a rollout: a type that takes them apart and puts them together
/// again costs several times what reading them does.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    /// As much of it as a watch itself needs.
    metadata: ObjectMeta,
    object: Value,
}

impl Plain {
    pub(crate) fn name(&self) -> Option<&str> {
        self.metadata.name.as_deref()
    }

    /// The object as it would be read alone: lists leave `apiVersion` and `kind` out of their items.
    pub(crate) fn of_kind(mut self, api_version: &str, kind: &str) -> Value {
        self.object["apiVersion"] = api_version.into();
        self.object["kind"] = kind.into();
        if kind == "Event" { event(self.object) } else { self.object }
    }
}

/// Events are the most of what is watched, five for each pod. A quarter of the fields of one say nothing, and nobody here asks who has
/// told it. What is left has room in one node of a map: eleven fields.
fn event(object: Value) -> Value {
    const TELLERS: [&str; 3] = ["source", "reportingComponent", "reportingInstance"];
    let says = |(name, value): &(String, Value)| {
        !value.is_null() && *value != "" && !TELLERS.contains(&name.as_str())
    };
    match object {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(says).collect()),
        other => other,
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        if !object.is_object() {
            return Err(serde::de::Error::custom("an object of the API is a JSON object"));
        }
        // Half of a pod is who wrote which field of it; nobody here asks.
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let text = |key: &str| object["metadata"][key].as_str().map(str::to_owned);
        let metadata = ObjectMeta {
            name: text("name"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, object })
    }
}

impl Resource for Plain {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
