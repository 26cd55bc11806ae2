//! A pod's volumes as directories of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, HostPathVolumeSource, Volume};

use super::env::Sources;
use super::expand::expand;
use super::payload::{self, Payload};
use crate::PodInput;
use crate::init::wire::MountSpec;

/// Where a pod's volumes lie.
#[derive(Debug, Clone)]
pub(crate) struct Volumes {
    /// `pods/<uid>/volumes`.
    pub(crate) folder: PathBuf,
    /// A directory of the pod's own on a tmpfs, for `medium: Memory`.
    pub(crate) memory: Option<PathBuf>,
    /// `fsGroup`.
    pub(crate) group: Option<u32>,
}

impl Volumes {
    /// Makes or updates every volume. Called again when the input changed: configuration is swapped in whole. Blocks.
    pub(crate) fn prepare(
        &self,
        input: &PodInput,
        sources: &Sources<'_>,
    ) -> Result<BTreeMap<String, PathBuf>, String> {
        let mut paths = BTreeMap::new();
        for volume in input.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            let path = self.one(volume, input, sources).map_err(|message| {
                format!("MountVolume.SetUp failed for volume {:?} : {message}", volume.name)
            })?;
            paths.insert(volume.name.clone(), path);
        }
        Ok(paths)
    }

    fn one(&self, volume: &Volume, input: &PodInput, sources: &Sources<'_>) -> Result<PathBuf, String> {
        if let Some(payload) = payload::of_volume(volume, sources, input.service_account_token.as_deref())? {
            let folder = self.folder.join(&volume.name);
            self.write(&folder, &payload).map_err(|error| format!("write {}: {error}", folder.display()))?;
            return Ok(folder);
        }
        if let Some(source) = &volume.empty_dir {
            let memory = self.memory.as_ref().filter(|_| source.medium.as_deref() == Some("Memory"));
            let folder = memory.unwrap_or(&self.folder).join(&volume.name);
            self.open_folder(&folder, 0o777)
                .map_err(|error| format!("create {}: {error}", folder.display()))?;
            return Ok(folder);
        }
        if let Some(source) = &volume.host_path {
            return host_path(source);
        }
        if let Some(source) = &volume.persistent_volume_claim {
            let name = &source.claim_name;
            let path =
                input.claims.get(name).ok_or_else(|| format!("persistentvolumeclaim {name:?} not found"))?;
            self.open_folder(path, 0o777).map_err(|error| format!("create {}: {error}", path.display()))?;
            return Ok(path.clone());
        }
        Err("this node knows emptyDir, hostPath, configMap, secret, projected, downwardAPI and persistentVolumeClaim".to_owned())
    }

    /// An existing directory keeps what its containers made of it.
    fn open_folder(&self, folder: &Path, mode: u32) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        let set_group = self.group.map_or(0, |_| 0o2000);
        self.give(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(mode | set_group))
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match self.group {
            None => Ok(()),
            // Not ours to give without privilege.
            Some(group) => match lchown(path, None, Some(group)) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                other => other,
            },
        }
    }

    /// Kubernetes' atomic writer: files in `..<n>`, `..data` pointing there, swapped by rename; a reader sees all old or all new.
    fn write(&self, folder: &Path, payload: &Payload) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        let data = folder.join("..data");
        let current = fs::read_link(&data).ok();
        if current.as_ref().is_some_and(|current| same(&folder.join(current), payload)) {
            return Ok(());
        }
        let number = current
            .as_ref()
            .and_then(|name| name.to_str()?.strip_prefix("..v")?.parse::<u64>().ok())
            .map_or(0, |n| n + 1);
        let name = format!("..v{number}");
        let fresh = folder.join(&name);
        let _ = fs::remove_dir_all(&fresh);
        fs::create_dir(&fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
        for (path, file) in payload {
            let place = fresh.join(path);
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&place, &file.content)?;
            self.give(&place)?;
            let readable = self.group.map_or(0, |_| 0o040);
            fs::set_permissions(&place, fs::Permissions::from_mode(file.mode | readable))?;
        }
        let swap = folder.join("..data_tmp");
        let _ = fs::remove_file(&swap);
        symlink(&name, &swap)?;
        fs::rename(&swap, &data)?;
        let mut tops: Vec<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
        tops.dedup();
        for entry in fs::read_dir(folder)?.flatten() {
            let there = entry.file_name();
            let there = there.to_string_lossy();
            if !there.starts_with("..") && !tops.contains(&there.as_ref()) {
                fs::remove_file(entry.path())?;
            }
        }
        for top in tops {
            let link = folder.join(top);
            if link.symlink_metadata().is_err() {
                symlink(Path::new("..data").join(top), &link)?;
            }
        }
        if let Some(old) = current {
            fs::remove_dir_all(folder.join(old))?;
        }
        Ok(())
    }
}

/// Whether the directory holds exactly these files.
fn same(folder: &Path, payload: &Payload) -> bool {
    fn count(folder: &Path) -> usize {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .fold(0, |sum, entry| sum + if entry.path().is_dir() { count(&entry.path()) } else { 1 })
    }
    count(folder) == payload.len()
        && payload.iter().all(|(path, file)| {
            let place = folder.join(path);
            fs::read(&place).is_ok_and(|content| content == file.content)
                && place.metadata().is_ok_and(|found| {
                    found.permissions().mode() & 0o777 & !0o040 == file.mode & 0o777 & !0o040
                })
        })
}

fn host_path(source: &HostPathVolumeSource) -> Result<PathBuf, String> {
    let path = Path::new(&source.path);
    let kind = source.type_.as_deref().unwrap_or_default();
    let create = match kind {
        "DirectoryOrCreate" if !path.exists() => fs::create_dir_all(path),
        "FileOrCreate" if !path.exists() => fs::File::create(path).map(|_| ()),
        _ => Ok(()),
    };
    create.map_err(|error| format!("create {}: {error}", path.display()))?;
    let real = path
        .canonicalize()
        .map_err(|_| format!("hostPath type check failed: {} is not there", path.display()))?;
    let found = real.metadata().map_err(|error| format!("look at {}: {error}", real.display()))?;
    let kind_ok = match kind {
        "Directory" | "DirectoryOrCreate" => found.is_dir(),
        "File" | "FileOrCreate" => found.is_file(),
        _ => true,
    };
    if kind_ok {
        Ok(real)
    } else {
        Err(format!("hostPath type check failed: {} is not a {kind}", path.display()))
    }
}

/// A container's volume mounts. `paths`: from [`Volumes::prepare`]. `env`: for `subPathExpr`. Blocks.
pub(crate) fn mounts(
    container: &Container,
    paths: &BTreeMap<String, PathBuf>,
    env: &BTreeMap<String, String>,
    always_read_only: &[String],
) -> Result<Vec<MountSpec>, String> {
    let mut found = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let root = paths
            .get(&mount.name)
            .ok_or_else(|| format!("volume {:?} of the mount {} not found", mount.name, mount.mount_path))?;
        let root = root.canonicalize().map_err(|error| format!("look at {}: {error}", root.display()))?;
        let sub = match (&mount.sub_path, &mount.sub_path_expr) {
            (Some(sub), _) => sub.clone(),
            (None, Some(text)) => expand(text, env),
            (None, None) => String::new(),
        };
        let source = below(&root, &sub).map_err(|why| {
            format!(
                "failed to prepare subPath for volumeMount {:?} of container {:?}: {why}",
                mount.name, container.name
            )
        })?;
        let read_only = mount.read_only == Some(true) || always_read_only.contains(&mount.name);
        found.push(MountSpec { source, target: mount.mount_path.clone(), read_only });
    }
    // An outer mount must not cover an inner one.
    found.sort_by_key(|mount| Path::new(&mount.target).components().count());
    Ok(found)
}

fn below(root: &Path, sub: &str) -> Result<PathBuf, String> {
    if sub.is_empty() {
        return Ok(root.to_owned());
    }
    if sub.starts_with('/') || sub.split('/').any(|part| part == "..") {
        return Err(format!("{sub:?} must be a relative path without '..'"));
    }
    let path = root.join(sub);
    if !path.exists() {
        fs::create_dir_all(&path).map_err(|error| format!("create {}: {error}", path.display()))?;
    }
    let real = path.canonicalize().map_err(|error| format!("look at {}: {error}", path.display()))?;
    if real.starts_with(root) { Ok(real) } else { Err(format!("{sub:?} leads out of the volume")) }
}

#[cfg(test)]
#[path = "volumes_tests.rs"]
mod tests;
