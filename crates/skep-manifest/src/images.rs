//! The images that containers run, and whose they are.

use std::collections::BTreeMap;

use serde_json::Value;
use skep_model::ObjectKey;

use crate::{
    object::{Object, Place},
    template::{self, containers, containers_mut},
};

/// One container's image, as its manifest writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// `api`, `redis:7-alpine`, `registry.example.com/admin/honeydue-api:latest`.
    pub text: String,
    /// The workload.
    pub object: ObjectKey,
    /// The container's name.
    pub container: String,
    /// Where it is written.
    pub place: Place,
}

/// Whose an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Skep builds it under this name.
    Ours(String),
    /// Somebody else's: it has a registry, a path, a tag or a digest.
    ThirdParty,
    /// A bare word that is no image of ours. It could be Docker Hub's (`redis`), or a name that nobody builds.
    Unclear,
}

/// Every image of every container, init and ephemeral ones included, in the order of the objects.
pub fn image_uses(objects: &[Object]) -> Vec<ImageUse> {
    objects.iter().flat_map(uses_of).collect()
}

fn uses_of(object: &Object) -> Vec<ImageUse> {
    let (Some(pointer), Some(spec), Some(key)) =
        (template::pointer(&object.value), template::pod_spec(&object.value), object.key())
    else {
        return Vec::new();
    };
    let uses = containers(spec).filter_map(|(list, index, container)| {
        Some(ImageUse {
            text: container.get("image")?.as_str()?.to_owned(),
            object: key.clone(),
            container: container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            place: object.place(&format!("{pointer}/spec/{list}/{index}/image")).clone(),
        })
    });
    uses.collect()
}

/// Decides whose an image is. `ours`: name in skep.yaml → full name in the registry, without tag. The name itself or the
/// full name, with any tag or none, is ours.
pub fn owner(text: &str, ours: &BTreeMap<String, String>) -> Owner {
    if ours.contains_key(text) {
        return Owner::Ours(text.to_owned());
    }
    if let Some((name, _)) = ours.iter().find(|(_, full)| *full == repository(text)) {
        return Owner::Ours(name.clone());
    }
    match text.contains(['/', ':', '@']) {
        true => Owner::ThirdParty,
        false => Owner::Unclear,
    }
}

/// The text without tag and digest. A colon before the last `/` is a registry's port.
pub(crate) fn repository(text: &str) -> &str {
    let text = text.split('@').next().unwrap_or(text);
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => text,
    }
}

/// Replaces each image that `pinned` has, by its text; returns how many containers were pinned.
pub fn pin(object: &mut Value, pinned: &BTreeMap<String, String>) -> usize {
    let Some(spec) = template::pod_spec_mut(object) else {
        return 0;
    };
    let mut count = 0;
    for container in containers_mut(spec) {
        let reference = container.get("image").and_then(Value::as_str).and_then(|text| pinned.get(text));
        if let Some(reference) = reference.cloned() {
            container["image"] = Value::String(reference);
            count += 1;
        }
    }
    count
}
