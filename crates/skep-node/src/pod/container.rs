//! A container's specification: what Kubernetes and the image say, as one process with its files. Blocks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

use super::Site;
use super::env::Sources;
use super::expand::expand;
use super::security;
use super::volumes;
use crate::files::remove_tree;
use crate::image::{ImageConfig, Lookup};
use crate::init::wire::{ContainerSpec, MountSpec, RootBase, RootSpec, Upper};
use crate::{PodInput, RootFilesystem};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a container's specification is made from.
pub(super) struct Recipe<'a> {
    pub(super) site: &'a Site,
    pub(super) input: &'a PodInput,
    pub(super) sources: Sources<'a>,
    pub(super) container: &'a Container,
    pub(super) image: &'a ImageConfig,
    /// Names of the unpacked layers, lowest first.
    pub(super) layers: Vec<String>,
    /// Directories of the pod's volumes.
    pub(super) volumes: &'a BTreeMap<String, PathBuf>,
    /// `pods/<uid>`.
    pub(super) folder: &'a Path,
    pub(super) hostname: &'a str,
}

/// Why a container can't be made.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// `CreateContainerConfigError`: what it refers to is missing or contradicts itself.
    Config(String),
    /// `CreateContainerError`: this machine refused.
    Machine(String),
}

impl Recipe<'_> {
    pub(super) fn cook(&self) -> Result<ContainerSpec, Obstacle> {
        let own = self.sources.environment(self.container).map_err(Obstacle::Config)?;
        let paths: Vec<PathBuf> =
            self.layers.iter().map(|name| self.site.layers.folder().join(name)).collect();
        let lookup = Lookup::of(&paths);
        let privileges =
            security::decide(&self.input.pod, self.container, self.image.user.as_deref(), &lookup)
                .map_err(Obstacle::Config)?;
        let argv = command(self.container, self.image, &own).map_err(Obstacle::Config)?;
        let mut env = self.image.env.clone();
        env.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        env.insert("HOSTNAME".to_owned(), self.hostname.to_owned());
        env.entry("HOME".to_owned()).or_insert_with(|| privileges.identity.home.clone());
        let mounts = volumes::mounts(self.container, self.volumes, &own, &self.read_only_volumes())
            .map_err(Obstacle::Config)?;
        env.extend(own);
        let cwd = self
            .container
            .working_dir
            .clone()
            .filter(|dir| !dir.is_empty())
            .or_else(|| self.image.working_dir.clone());
        let root = self.root(mounts, &privileges).map_err(|error| Obstacle::Machine(error.to_string()))?;
        Ok(ContainerSpec {
            root: Some(root),
            argv,
            env,
            cwd: cwd.unwrap_or_else(|| "/".to_owned()),
            uid: privileges.identity.uid,
            gid: privileges.identity.gid,
            groups: privileges.identity.groups.clone(),
            capabilities: privileges.capabilities,
            no_new_privileges: privileges.no_new_privileges,
            cgroup_procs: Vec::new(),
        })
    }

    fn root(&self, volumes: Vec<MountSpec>, privileges: &security::Privileges) -> std::io::Result<RootSpec> {
        let folder = own_folder(self.folder, &self.container.name);
        // Each run starts from the image alone.
        remove_tree(&folder)?;
        let target = folder.join("root");
        fs::create_dir_all(&target)?;
        let base = match self.site.root_filesystem {
            _ if !self.site.layers.overlay_well(&self.layers) => {
                self.site.layers.copy(&self.layers, &target)?;
                RootBase::Copied
            }
            RootFilesystem::Copy => {
                self.site.layers.copy(&self.layers, &target)?;
                RootBase::Copied
            }
            over => {
                let above = folder.join("above");
                fs::create_dir_all(&above)?;
                let upper = if over == RootFilesystem::Overlay {
                    Upper::Directory(above)
                } else {
                    Upper::Tmpfs(above)
                };
                RootBase::Overlay {
                    layers: self.site.layers.folder().to_owned(),
                    lower: self.layers.clone(),
                    upper,
                }
            }
        };
        let message = folder.join("termination-log");
        fs::write(&message, "")?;
        fs::set_permissions(&message, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        let etc = self.folder.join("etc");
        let mut mounts: Vec<MountSpec> = ["hosts", "hostname", "resolv.conf"]
            .into_iter()
            .map(|name| MountSpec {
                source: etc.join(name),
                target: format!("/etc/{name}"),
                read_only: false,
            })
            .collect();
        mounts.push(MountSpec { source: message, target: message_path(self.container), read_only: false });
        // What the pod asks for wins over what the node gives.
        mounts.retain(|mount| volumes.iter().all(|volume| volume.target != mount.target));
        mounts.extend(volumes);
        Ok(RootSpec {
            target,
            base,
            read_only: privileges.read_only_root,
            privileged: privileges.privileged,
            mounts,
        })
    }

    /// Configuration is never written by its readers.
    fn read_only_volumes(&self) -> Vec<String> {
        let volumes = self.input.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        volumes
            .filter(|volume| {
                volume.config_map.is_some()
                    || volume.secret.is_some()
                    || volume.projected.is_some()
                    || volume.downward_api.is_some()
                    || volume
                        .persistent_volume_claim
                        .as_ref()
                        .is_some_and(|claim| claim.read_only == Some(true))
            })
            .map(|volume| volume.name.clone())
            .collect()
    }
}

/// `pods/<uid>/containers/<name>`.
fn own_folder(pod: &Path, container: &str) -> PathBuf {
    pod.join("containers").join(container)
}

fn message_path(container: &Container) -> String {
    container.termination_message_path.clone().unwrap_or_else(|| "/dev/termination-log".to_owned())
}

/// What a container left in its termination message file, at most 4096 bytes.
pub(super) fn termination_message(pod: &Path, container: &str) -> Option<String> {
    let text = fs::read(own_folder(pod, container).join("termination-log")).ok()?;
    let text = String::from_utf8_lossy(&text[..text.len().min(4096)]).into_owned();
    (!text.is_empty()).then_some(text)
}

/// Drops what a container that ended wrote over its image.
pub(super) fn discard(pod: &Path, container: &str) {
    if let Err(error) = remove_tree(&own_folder(pod, container)) {
        tracing::warn!(container, %error, "delete a container's files");
    }
}

/// `command` replaces the image's entrypoint and its arguments; `args` alone replaces the arguments.
fn command(
    container: &Container,
    image: &ImageConfig,
    env: &BTreeMap<String, String>,
) -> Result<Vec<String>, String> {
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expand(word, env)).collect()
    };
    let (command, args) = (expanded(&container.command), expanded(&container.args));
    let argv = match (command.is_empty(), args.is_empty()) {
        (false, _) => [command, args].concat(),
        (true, false) => [image.entrypoint.clone(), args].concat(),
        (true, true) => [image.entrypoint.clone(), image.command.clone()].concat(),
    };
    if argv.is_empty() { Err("no command specified".to_owned()) } else { Ok(argv) }
}

/// Writes `hosts`, `hostname` and `resolv.conf` into `pods/<uid>/etc`, in place: containers have them mounted.
pub(super) fn write_etc(
    site: &Site,
    input: &PodInput,
    address: std::net::Ipv4Addr,
    folder: &Path,
    hostname: &str,
) -> std::io::Result<()> {
    let etc = folder.join("etc");
    fs::create_dir_all(&etc)?;
    let spec = input.pod.spec.as_ref();
    let mut hosts =
        "# Kept by skep.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    hosts.push_str(&format!("{address}\t{hostname}\n"));
    for alias in spec.iter().flat_map(|spec| spec.host_aliases.iter().flatten()) {
        let names = alias.hostnames.clone().unwrap_or_default();
        hosts.push_str(&format!("{}\t{}\n", alias.ip, names.join(" ")));
    }
    for (address, names) in &input.hosts {
        hosts.push_str(&format!("{address}\t{}\n", names.join(" ")));
    }
    let namespace = input.pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = &site.config.cluster_domain;
    let policy = spec.and_then(|spec| spec.dns_policy.as_deref());
    let host_network = spec.is_some_and(|spec| spec.host_network == Some(true));
    let own = site.plumbing.network.bridge.is_none()
        || policy == Some("Default")
        || (host_network && policy != Some("ClusterFirstWithHostNet"));
    let resolv = if own {
        fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
    } else {
        format!(
            "nameserver {}\nsearch {namespace}.svc.{domain} svc.{domain} {domain}\noptions ndots:5\n",
            site.plumbing.network.gateway
        )
    };
    for (name, text) in [("hosts", hosts), ("hostname", format!("{hostname}\n")), ("resolv.conf", resolv)] {
        let path = etc.join(name);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_follow_the_table_of_kubernetes() {
        let image = ImageConfig {
            entrypoint: vec!["/entry".to_owned()],
            command: vec!["default".to_owned()],
            ..ImageConfig::default()
        };
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (container, expected) in [
            (json!({}), vec!["/entry", "default"]),
            (json!({"args": ["$(A)"]}), vec!["/entry", "1"]),
            (json!({"command": ["/run"]}), vec!["/run"]),
            (json!({"command": ["/run"], "args": ["$(A)", "$(B)"]}), vec!["/run", "1", "$(B)"]),
        ] {
            let mut container = container;
            container["name"] = json!("c");
            assert_eq!(command(&serde_json::from_value(container).unwrap(), &image, &env).unwrap(), expected);
        }
        assert!(command(&Container::default(), &ImageConfig::default(), &env).is_err());
    }
}
