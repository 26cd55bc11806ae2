//! An image's config and manifest. No time, no commit, no name of a machine: same layers and settings, same digest.

use std::collections::BTreeMap;

use serde::Serialize;
use skep_model::{Digest, NativeBuild, Platform};
use skep_registry::{
    Blob, ContainerConfig, Descriptor, History, ImageConfig, Manifest, MediaType, Package, RootFs,
};

use crate::Layer;

/// What [`Layer::holds`] says of a layer that came from a base image.
pub(crate) const BASE: &str = "base";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How the image starts: the base's settings, overridden as a Dockerfile's instructions override them.
pub(crate) fn container(spec: &NativeBuild, base: ContainerConfig) -> ContainerConfig {
    let mut env = base.env.clone().unwrap_or_default();
    let name_of = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    for (name, value) in &spec.env {
        let line = format!("{name}={value}");
        match env.iter_mut().find(|old| name_of(old) == *name) {
            Some(old) => *old = line,
            None => env.push(line),
        }
    }
    if !env.iter().any(|line| line.starts_with("PATH=")) {
        env.insert(0, PATH.to_owned());
    }
    let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    // A new entrypoint doesn't take the old one's arguments.
    let cmd = match (given(&spec.cmd), given(&spec.entrypoint)) {
        (Some(cmd), _) => Some(cmd),
        (None, Some(_)) => None,
        (None, None) => base.cmd.clone(),
    };
    ContainerConfig {
        env: Some(env),
        cmd,
        entrypoint: given(&spec.entrypoint).or(base.entrypoint.clone()),
        user: spec.user.clone().or(base.user.clone()),
        working_dir: spec.workdir.clone().or(base.working_dir.clone()),
        ..base
    }
}

/// Puts an image together.
pub(crate) fn package(
    container: ContainerConfig,
    platform: &Platform,
    layers: &[Layer],
) -> Result<Package, serde_json::Error> {
    let config = canonical(&ImageConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        config: container,
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        },
        history: layers
            .iter()
            .map(|layer| History { created_by: Some(format!("skep: {}", layer.holds)), ..History::default() })
            .collect(),
    })?;
    let manifest = canonical(&Manifest {
        schema_version: 2,
        media_type: Some(MediaType::MANIFEST.to_owned()),
        config: Descriptor {
            media_type: MediaType::CONFIG.to_owned(),
            digest: Digest::of(&config),
            size: config.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        },
        layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
        annotations: BTreeMap::new(),
    })?;
    Ok(Package {
        digest: Digest::of(&manifest),
        manifest: manifest.into(),
        media_type: MediaType::MANIFEST.to_owned(),
        config: config.into(),
        blobs: layers
            .iter()
            .map(|layer| Blob {
                descriptor: layer.descriptor.clone(),
                path: layer.path.clone(),
                mount_from: None,
            })
            .collect(),
    })
}

/// Fields in the order of the types, maps sorted.
fn canonical(document: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_over_a_base() {
        let base = ContainerConfig {
            env: Some(vec!["PATH=/bin".to_owned(), "LANG=C".to_owned()]),
            entrypoint: Some(vec!["/old".to_owned()]),
            cmd: Some(vec!["--old".to_owned()]),
            user: Some("1".to_owned()),
            ..ContainerConfig::default()
        };
        let spec = NativeBuild {
            entrypoint: vec!["/new".to_owned()],
            env: [("LANG".to_owned(), "de".to_owned()), ("A".to_owned(), "b".to_owned())].into(),
            ..NativeBuild::default()
        };
        let merged = container(&spec, base.clone());
        assert_eq!(merged.env.as_deref(), Some(&["PATH=/bin", "LANG=de", "A=b"].map(String::from)[..]));
        assert_eq!((merged.entrypoint, merged.cmd), (Some(vec!["/new".to_owned()]), None));
        assert_eq!(merged.user.as_deref(), Some("1"));
        let untouched = container(&NativeBuild::default(), base.clone());
        assert_eq!((untouched.entrypoint, untouched.cmd), (base.entrypoint, base.cmd));
        let plain = container(&NativeBuild::default(), ContainerConfig::default());
        assert_eq!(plain.env, Some(vec![PATH.to_owned()]));
    }
}
