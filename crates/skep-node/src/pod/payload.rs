//! What the files of a configuration volume are, before any is written.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, DownwardAPIVolumeFile, KeyToPath, Secret, Volume};

use super::env::Sources;

/// Files by path relative to the volume.
pub(crate) type Payload = BTreeMap<String, PayloadFile>;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PayloadFile {
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
}

/// The files of a volume; `None` for one that is a directory of something else. The error is a `FailedMount` message.
pub(crate) fn of_volume(
    volume: &Volume,
    sources: &Sources<'_>,
    token: Option<&str>,
) -> Result<Option<Payload>, String> {
    let mut files = Files { payload: Payload::new(), mode: 0o644 };
    let mode = |mode: Option<i32>| mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644);
    if let Some(source) = &volume.config_map {
        files.mode = mode(source.default_mode);
        files.config_map(sources, &source.name, source.items.as_deref(), source.optional)?;
    } else if let Some(source) = &volume.secret {
        files.mode = mode(source.default_mode);
        let name = source.secret_name.as_deref().unwrap_or_default();
        files.secret(sources, name, source.items.as_deref(), source.optional)?;
    } else if let Some(source) = &volume.downward_api {
        files.mode = mode(source.default_mode);
        files.downward(sources, source.items.as_deref())?;
    } else if let Some(source) = &volume.projected {
        files.mode = mode(source.default_mode);
        for part in source.sources.iter().flatten() {
            if let Some(map) = &part.config_map {
                files.config_map(sources, &map.name, map.items.as_deref(), map.optional)?;
            }
            if let Some(secret) = &part.secret {
                files.secret(sources, &secret.name, secret.items.as_deref(), secret.optional)?;
            }
            if let Some(downward) = &part.downward_api {
                files.downward(sources, downward.items.as_deref())?;
            }
            if let (Some(wanted), Some(token)) = (&part.service_account_token, token) {
                files.put(&wanted.path, token.as_bytes().to_vec(), None)?;
            }
        }
    } else {
        return Ok(None);
    }
    Ok(Some(files.payload))
}

struct Files {
    payload: Payload,
    mode: u32,
}

impl Files {
    fn config_map(
        &mut self,
        sources: &Sources<'_>,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<(), String> {
        let Some(map) = sources.config_maps.get(name) else {
            return if optional == Some(true) {
                Ok(())
            } else {
                Err(format!("configmap {name:?} not found"))
            };
        };
        self.keys(&of_map(map), items, optional, || {
            format!("configmap references non-existent config key in {name:?}")
        })
    }

    fn secret(
        &mut self,
        sources: &Sources<'_>,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<(), String> {
        let Some(secret) = sources.secrets.get(name) else {
            return if optional == Some(true) { Ok(()) } else { Err(format!("secret {name:?} not found")) };
        };
        self.keys(&of_secret(secret), items, optional, || {
            format!("references non-existent secret key in {name:?}")
        })
    }

    fn keys(
        &mut self,
        data: &BTreeMap<String, Vec<u8>>,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        missing: impl Fn() -> String,
    ) -> Result<(), String> {
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            return data.iter().try_for_each(|(key, content)| self.put(key, content.clone(), None));
        };
        for item in items {
            match data.get(&item.key) {
                Some(content) => self.put(&item.path, content.clone(), item.mode)?,
                None if optional == Some(true) => {}
                None => return Err(format!("{}: {}", missing(), item.key)),
            }
        }
        Ok(())
    }

    fn downward(
        &mut self,
        sources: &Sources<'_>,
        items: Option<&[DownwardAPIVolumeFile]>,
    ) -> Result<(), String> {
        for item in items.into_iter().flatten() {
            let text = match (&item.field_ref, &item.resource_field_ref) {
                (Some(field), _) => sources.facts.field(&field.field_path)?,
                (None, Some(selector)) => sources.facts.resource(selector, None)?,
                (None, None) => continue,
            };
            self.put(&item.path, text.into_bytes(), item.mode)?;
        }
        Ok(())
    }

    fn put(&mut self, path: &str, content: Vec<u8>, mode: Option<i32>) -> Result<(), String> {
        let plain =
            !path.is_empty() && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if !plain || path.starts_with("..") {
            return Err(format!("invalid path {path:?}: must be relative and not contain '..'"));
        }
        let mode = mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(self.mode);
        self.payload.insert(path.to_owned(), PayloadFile { content, mode });
        Ok(())
    }
}

fn of_map(map: &ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    text.chain(binary).collect()
}

fn of_secret(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    let bytes = secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    let text =
        secret.string_data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    bytes.chain(text).collect()
}
