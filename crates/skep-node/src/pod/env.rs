//! A container's environment from its specification and what that refers to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Secret};

use super::expand::expand;
use super::facts::Facts;

/// What a container's variables may come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) facts: Facts<'a>,
    pub(crate) config_maps: &'a BTreeMap<String, ConfigMap>,
    pub(crate) secrets: &'a BTreeMap<String, Secret>,
    pub(crate) service_env: &'a BTreeMap<String, String>,
}

impl Sources<'_> {
    /// The container's own variables, in the kubelet's order: Services', `envFrom`, `env`, each able to use those before it. The
    /// error is the message of a `CreateContainerConfigError`.
    pub(crate) fn environment(&self, container: &Container) -> Result<BTreeMap<String, String>, String> {
        let mut values = self.service_env.clone();
        for from in container.env_from.iter().flatten() {
            let prefix = from.prefix.as_deref().unwrap_or_default();
            if let Some(source) = &from.config_map_ref {
                match self.config_maps.get(&source.name) {
                    Some(map) => {
                        let data = map.data.iter().flatten();
                        values.extend(data.map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
                    }
                    None if source.optional == Some(true) => {}
                    None => return Err(missing("configmap", &source.name)),
                }
            }
            if let Some(source) = &from.secret_ref {
                match self.secrets.get(&source.name) {
                    Some(secret) => {
                        let data = secret.data.iter().flatten();
                        values.extend(data.map(|(key, value)| (format!("{prefix}{key}"), text(&value.0))));
                    }
                    None if source.optional == Some(true) => {}
                    None => return Err(missing("secret", &source.name)),
                }
            }
        }
        for variable in container.env.iter().flatten() {
            if let Some(value) = self.value(variable, container, &values)? {
                values.insert(variable.name.clone(), value);
            }
        }
        Ok(values)
    }

    fn value(
        &self,
        variable: &EnvVar,
        container: &Container,
        before: &BTreeMap<String, String>,
    ) -> Result<Option<String>, String> {
        let Some(from) = &variable.value_from else {
            return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), before)));
        };
        let namespace = self.facts.pod.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(key) = &from.config_map_key_ref {
            let map = self.config_maps.get(&key.name);
            let found = map.and_then(|map| map.data.as_ref()?.get(&key.key)).cloned();
            return match (found, map) {
                (Some(value), _) => Ok(Some(value)),
                (None, _) if key.optional == Some(true) => Ok(None),
                (None, None) => Err(missing("configmap", &key.name)),
                (None, Some(_)) => {
                    Err(format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name))
                }
            };
        }
        if let Some(key) = &from.secret_key_ref {
            let secret = self.secrets.get(&key.name);
            let found =
                secret.and_then(|secret| secret.data.as_ref()?.get(&key.key)).map(|value| text(&value.0));
            return match (found, secret) {
                (Some(value), _) => Ok(Some(value)),
                (None, _) if key.optional == Some(true) => Ok(None),
                (None, None) => Err(missing("secret", &key.name)),
                (None, Some(_)) => {
                    Err(format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name))
                }
            };
        }
        if let Some(field) = &from.field_ref {
            return self.facts.field(&field.field_path).map(Some);
        }
        if let Some(selector) = &from.resource_field_ref {
            return self.facts.resource(selector, Some(container)).map(Some);
        }
        Err(format!("the variable {} has a valueFrom that this node does not know", variable.name))
    }
}

fn missing(kind: &str, name: &str) -> String {
    format!("{kind} {name:?} not found")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
