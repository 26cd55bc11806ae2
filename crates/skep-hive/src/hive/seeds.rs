//! The objects that are there from the start: the Node, the default StorageClass, an IngressClass.

use std::collections::BTreeSet;
use std::fs;

use jiff::Timestamp;
use serde_json::{Value, json};
use skep_apiserver::{Resources, Status};
use skep_model::Platform;
use skep_node::{Capabilities, Cgroups, Level, Network};

use crate::action::Action;
use crate::controllers::volume;
use crate::kind::Kind;
use crate::object;

const MANAGER: &str = "skep-hive";

/// What the Node object tells about this machine.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) name: &'a str,
    pub(super) capabilities: &'a Capabilities,
    /// Why pods can't run here although the machine would let them.
    pub(super) trouble: Option<&'a str>,
    pub(super) network: Option<&'a Network>,
}

/// Makes what is missing and brings the Node up to date.
pub(super) async fn plant(resources: &Resources, machine: &Machine<'_>) -> Result<(), Status> {
    make(resources, storage_class()).await?;
    make(resources, ingress_class()).await?;
    make(resources, machine.node()).await?;
    let Some(node) = resources.get(Kind::NODE, None, machine.name) else { return Ok(()) };
    if let Some(Action::Status(node)) = Action::status(&node, machine.status(&node, skep_ambient::now())) {
        resources.update_status(node, MANAGER).await?;
    }
    Ok(())
}

async fn make(resources: &Resources, object: Value) -> Result<(), Status> {
    match resources.create(object, MANAGER).await {
        Err(status) if status.is_already_exists() => Ok(()),
        other => other.map(drop),
    }
}

fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": volume::CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "skep.dev/local-directory",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    })
}

fn ingress_class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "hive", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": "skep.dev/ingress"},
    })
}

impl Machine<'_> {
    fn node(&self) -> Value {
        let platform = Platform::host();
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {
                    "kubernetes.io/hostname": self.name,
                    "kubernetes.io/os": platform.os,
                    "kubernetes.io/arch": platform.architecture,
                    "node-role.kubernetes.io/control-plane": "true",
                },
            },
            "spec": {"podCIDR": self.network.map(|network| network.pod_cidr.to_string())},
        })
    }

    fn status(&self, node: &Value, now: Timestamp) -> Value {
        let (status, reason, message) = self.readiness();
        let since = object::condition(node, "Ready").filter(|old| old["status"] == status);
        let since = since.map_or_else(|| object::stamp(now), |old| old["lastTransitionTime"].clone());
        let size = json!({
            "cpu": std::thread::available_parallelism().map_or(1, usize::from).to_string(),
            "memory": memory(),
            "pods": "250",
        });
        let platform = Platform::host();
        let address =
            self.network.map_or_else(|| "127.0.0.1".to_owned(), |network| network.gateway.to_string());
        json!({
            "capacity": size,
            "allocatable": size,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": self.name},
            ],
            "conditions": [{
                "type": "Ready", "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": object::stamp(now), "lastTransitionTime": since,
            }],
            "nodeInfo": {
                "architecture": platform.architecture,
                "operatingSystem": platform.os,
                "kernelVersion": read("/proc/sys/kernel/osrelease"),
                "bootID": read("/proc/sys/kernel/random/boot_id"),
                "machineID": "",
                "systemUUID": "",
                "osImage": os_image(),
                "containerRuntimeVersion": concat!("skep://", env!("CARGO_PKG_VERSION")),
                "kubeletVersion": concat!("v1.36.0+skep", env!("CARGO_PKG_VERSION")),
                "kubeProxyVersion": "",
            },
        })
    }

    fn readiness(&self) -> (&'static str, &'static str, String) {
        if let Some(trouble) = self.trouble {
            return ("False", "NodeNotStarted", trouble.to_owned());
        }
        let level = match &self.capabilities.level {
            Level::Root => "pods run in namespaces of their own, as root allows",
            Level::Rootless => "pods run in user namespaces on the host's network",
            Level::None { why } => return ("False", "NotPermitted", why.clone()),
        };
        let mut message = level.to_owned();
        if let Cgroups::None { why } = &self.capabilities.cgroups {
            message = format!("{message}; resource limits are ignored: {why}");
        }
        if let Some(why) = self.network.and_then(|network| network.no_outbound.as_ref()) {
            message = format!("{message}; pods reach nothing outside this machine: {why}");
        }
        ("True", "KubeletReady", message)
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn os_image() -> String {
    let release = read("/etc/os-release");
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

fn memory() -> String {
    let text = read("/proc/meminfo");
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).map(str::trim);
    kib.and_then(|text| text.split(' ').next()).map_or_else(|| "0".to_owned(), |kib| format!("{kib}Ki"))
}

/// The names under which hive's own registry is known in image references.
pub(super) fn registry_names(port: u16) -> BTreeSet<String> {
    [format!("127.0.0.1:{port}"), format!("localhost:{port}")].into()
}
