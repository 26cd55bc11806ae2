//! What a pod's containers may read: which ConfigMaps, Secrets and claims it names, and their contents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;
use skep_apiserver::Resources;

use crate::kind::Kind;
use crate::object;

/// The names that a pod's spec refers to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct References {
    pub(super) config_maps: BTreeSet<String>,
    pub(super) secrets: BTreeSet<String>,
    pub(super) claims: BTreeSet<String>,
}

impl References {
    pub(super) fn of(pod: &Value) -> Self {
        let mut found = Self::default();
        for container in containers(pod) {
            for variable in object::array(container, "/env") {
                add(&mut found.config_maps, variable, "/valueFrom/configMapKeyRef/name");
                add(&mut found.secrets, variable, "/valueFrom/secretKeyRef/name");
            }
            for source in object::array(container, "/envFrom") {
                add(&mut found.config_maps, source, "/configMapRef/name");
                add(&mut found.secrets, source, "/secretRef/name");
            }
        }
        for volume in object::array(pod, "/spec/volumes") {
            add(&mut found.config_maps, volume, "/configMap/name");
            add(&mut found.secrets, volume, "/secret/secretName");
            add(&mut found.claims, volume, "/persistentVolumeClaim/claimName");
            for source in object::array(volume, "/projected/sources") {
                add(&mut found.config_maps, source, "/configMap/name");
                add(&mut found.secrets, source, "/secret/name");
            }
        }
        found
    }
}

fn add(names: &mut BTreeSet<String>, place: &Value, pointer: &str) {
    let name = object::text(place, pointer);
    if !name.is_empty() {
        names.insert(name.to_owned());
    }
}

/// Init and plain containers of a pod or pod template.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    object::array(pod, "/spec/initContainers").iter().chain(object::array(pod, "/spec/containers"))
}

/// A pod's configuration as it is now, and the versions that tell one state of it from the next.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    pub(super) config_maps: BTreeMap<String, ConfigMap>,
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Directories of bound claims.
    pub(super) claims: BTreeMap<String, PathBuf>,
    pub(super) versions: Vec<String>,
}

impl Configuration {
    pub(super) fn read(resources: &Resources, pod: &Value, volumes: &Path) -> Self {
        let namespace = object::namespace(pod);
        let names = References::of(pod);
        let mut versions = Vec::new();
        let config_maps = typed(resources, Kind::CONFIG_MAP, namespace, &names.config_maps, &mut versions);
        let secrets = typed(resources, Kind::SECRET, namespace, &names.secrets, &mut versions);
        let mut claims = BTreeMap::new();
        for name in names.claims {
            let claim = resources.get(Kind::PVC, Some(namespace), &name);
            if claim.is_some_and(|claim| object::text(&claim, "/status/phase") == "Bound") {
                versions.push(format!("claim {name}"));
                let directory = volumes.join(namespace).join(&name);
                claims.insert(name, directory);
            }
        }
        Self { config_maps, secrets, claims, versions }
    }
}

fn typed<T: DeserializeOwned>(
    resources: &Resources,
    kind: Kind,
    namespace: &str,
    names: &BTreeSet<String>,
    versions: &mut Vec<String>,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    for name in names {
        let Some(object) = resources.get(kind, Some(namespace), name) else { continue };
        match T::deserialize(&*object) {
            Ok(value) => {
                versions.push(format!(
                    "{} {name} {}",
                    kind.name(),
                    object::text(&object, "/metadata/resourceVersion")
                ));
                found.insert(name.clone(), value);
            }
            Err(error) => {
                tracing::warn!(kind = kind.name(), namespace, name, %error, "an object can't be read as its type");
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_that_names_configuration_is_found() {
        let pod = json!({"spec": {
            "initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s1"}}}]}],
            "containers": [{
                "env": [{"valueFrom": {"configMapKeyRef": {"name": "c1"}}}, {"name": "plain", "value": "x"}],
                "envFrom": [{"configMapRef": {"name": "c2"}}, {"secretRef": {"name": "s2"}}],
            }],
            "volumes": [
                {"configMap": {"name": "c3"}}, {"secret": {"secretName": "s3"}},
                {"persistentVolumeClaim": {"claimName": "data"}},
                {"projected": {"sources": [{"configMap": {"name": "c4"}}, {"secret": {"name": "s4"}}]}}],
        }});
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            References::of(&pod),
            References {
                config_maps: set(&["c1", "c2", "c3", "c4"]),
                secrets: set(&["s1", "s2", "s3", "s4"]),
                claims: set(&["data"]),
            }
        );
    }
}
