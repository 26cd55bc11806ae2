//! Control groups for pods' limits: the unified hierarchy, or named controllers of the first version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

use crate::Cgroups;
use crate::pod::quantity;

const ROOT: &str = "/sys/fs/cgroup";
const PERIOD_MICROS: i128 = 100_000;

/// A place to make control groups in.
#[derive(Debug, Clone)]
pub(crate) struct Hierarchy {
    version: Cgroups,
    /// The node's own groups: one, or one per controller (`memory`, `cpu`).
    groups: Vec<(&'static str, PathBuf)>,
}

/// A container's limits; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: Option<i128>,
    pub(crate) cpu_millis: Option<i128>,
    pub(crate) cpu_request_millis: Option<i128>,
}

impl Limits {
    pub(crate) fn of(container: &Container) -> Self {
        let resources = container.resources.as_ref();
        let limits = resources.and_then(|resources| resources.limits.as_ref());
        let requests = resources.and_then(|resources| resources.requests.as_ref());
        let amount = |values: Option<&std::collections::BTreeMap<String, _>>, name: &str| {
            let value: &k8s_openapi::apimachinery::pkg::api::resource::Quantity = values?.get(name)?;
            quantity::thousandths(&value.0)
        };
        Self {
            memory_bytes: amount(limits, "memory").map(|value| value / 1000),
            cpu_millis: amount(limits, "cpu"),
            cpu_request_millis: amount(requests, "cpu").or(amount(limits, "cpu")),
        }
    }
}

impl Hierarchy {
    /// Tries to make the node's groups, named `name`.
    pub(crate) fn open(name: &str) -> Self {
        let unified = Path::new(ROOT).join(name);
        if fs::read_to_string(Path::new(ROOT).join("cgroup.controllers")).is_ok() {
            return match unified_group(&unified) {
                Ok(()) => Self { version: Cgroups::V2, groups: vec![("", unified)] },
                Err(why) => Self { version: Cgroups::None { why }, groups: Vec::new() },
            };
        }
        let mut groups = Vec::new();
        let mut why = "no cgroup hierarchy is mounted".to_owned();
        for controller in ["memory", "cpu"] {
            let folder = Path::new(ROOT).join(controller).join(own_group(controller)).join(name);
            match fs::create_dir_all(&folder) {
                Ok(()) => groups.push((controller, folder)),
                Err(error) => why = format!("create {}: {error}", folder.display()),
            }
        }
        let version = if groups.is_empty() { Cgroups::None { why } } else { Cgroups::V1 };
        Self { version, groups }
    }

    pub(crate) fn version(&self) -> &Cgroups {
        &self.version
    }

    /// Makes a container's groups with its limits.
    pub(crate) fn make(&self, uid: &str, container: &str, limits: &Limits) -> io::Result<Group> {
        let mut folders = Vec::new();
        for (controller, folder) in &self.groups {
            let pod = folder.join(uid);
            let own = pod.join(container);
            if self.version == Cgroups::V2 && !pod.is_dir() {
                fs::create_dir(&pod)?;
                let _ = fs::write(pod.join("cgroup.subtree_control"), "+memory +cpu");
            }
            fs::create_dir_all(&own)?;
            for (file, value) in settings(controller, limits) {
                fs::write(own.join(file), &value).map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("write {value} to {}: {error}", own.join(file).display()),
                    )
                })?;
            }
            folders.push(own);
        }
        Ok(Group { folders })
    }

    /// Removes a pod's groups. Its processes are gone.
    pub(crate) fn remove_pod(&self, uid: &str) {
        for (_, folder) in &self.groups {
            remove_tree(&folder.join(uid));
        }
    }

    /// Removes the node's groups and all in them.
    pub(crate) fn remove(&self) {
        for (_, folder) in &self.groups {
            remove_tree(folder);
        }
    }
}

/// A container's groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// The files that its processes write themselves into.
    pub(crate) fn procs(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.join("cgroup.procs")).collect()
    }

    /// How many times the kernel killed a process here for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let of = |path: PathBuf| {
            let text = fs::read_to_string(path).ok()?;
            let line = text.lines().find(|line| line.starts_with("oom_kill "))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        self.folders
            .iter()
            .filter_map(|folder| {
                of(folder.join("memory.events")).or_else(|| of(folder.join("memory.oom_control")))
            })
            .max()
            .unwrap_or(0)
    }
}

fn settings(controller: &str, limits: &Limits) -> Vec<(&'static str, String)> {
    let quota = limits.cpu_millis.map(|millis| (millis * PERIOD_MICROS / 1000).max(1000));
    let shares = limits.cpu_request_millis.map(|millis| (millis * 1024 / 1000).clamp(2, 262_144));
    let mut found = Vec::new();
    match controller {
        "memory" => {
            found.extend(limits.memory_bytes.map(|bytes| ("memory.limit_in_bytes", bytes.to_string())));
        }
        "cpu" => {
            found.extend(shares.map(|shares| ("cpu.shares", shares.to_string())));
            found.extend(quota.map(|_| ("cpu.cfs_period_us", PERIOD_MICROS.to_string())));
            found.extend(quota.map(|quota| ("cpu.cfs_quota_us", quota.to_string())));
        }
        _ => {
            found.extend(limits.memory_bytes.map(|bytes| ("memory.max", bytes.to_string())));
            found.extend(quota.map(|quota| ("cpu.max", format!("{quota} {PERIOD_MICROS}"))));
            // The mapping of cgroup v1's shares to v2's weight that runc uses.
            found
                .extend(shares.map(|shares| ("cpu.weight", (1 + (shares - 2) * 9999 / 262_142).to_string())));
        }
    }
    found
}

fn unified_group(folder: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("create {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let there = fs::read_to_string(folder.join("cgroup.controllers")).map_err(failed)?;
    if !["memory", "cpu"].iter().all(|wanted| there.split_whitespace().any(|found| found == *wanted)) {
        let _ = fs::remove_dir(folder);
        return Err(format!(
            "{} has the controllers {:?}, not memory and cpu",
            folder.display(),
            there.trim()
        ));
    }
    fs::write(folder.join("cgroup.subtree_control"), "+memory +cpu").map_err(failed)
}

/// The group that this process is in, relative to the controller's root: limits nest.
fn own_group(controller: &str) -> PathBuf {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let names = parts.nth(1)?;
        names.split(',').any(|name| name == controller).then(|| parts.next()).flatten()
    });
    let path = PathBuf::from(path.unwrap_or("/").trim_start_matches('/'));
    // Inside a container the path is the host's, and not to be seen.
    if Path::new(ROOT).join(controller).join(&path).is_dir() { path } else { PathBuf::new() }
}

fn remove_tree(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_the_kernels_numbers() {
        let limits =
            Limits { memory_bytes: Some(1024), cpu_millis: Some(500), cpu_request_millis: Some(250) };
        assert_eq!(settings("memory", &limits), [("memory.limit_in_bytes", "1024".to_owned())]);
        assert_eq!(settings("cpu", &limits)[2], ("cpu.cfs_quota_us", "50000".to_owned()));
        assert_eq!(settings("", &limits)[1], ("cpu.max", "50000 100000".to_owned()));
        assert!(settings("", &Limits::default()).is_empty());
    }
}
