//! What a pod may know of itself: `fieldRef` and `resourceFieldRef`.

use std::fmt::Write;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use super::quantity;

/// A pod and where it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) pod_ip: Ipv4Addr,
    pub(crate) host_ip: Ipv4Addr,
    pub(crate) node_name: &'a str,
}

impl Facts<'_> {
    /// A `fieldRef`'s value.
    pub(crate) fn field(&self, path: &str) -> Result<String, String> {
        let meta = &self.pod.metadata;
        if let Some((map, key)) = subscript(path) {
            let values = match map {
                "metadata.labels" => meta.labels.as_ref(),
                "metadata.annotations" => meta.annotations.as_ref(),
                _ => return Err(unsupported(path)),
            };
            return Ok(values.and_then(|values| values.get(key)).cloned().unwrap_or_default());
        }
        let spec = self.pod.spec.as_ref();
        Ok(match path {
            "metadata.name" => meta.name.clone().unwrap_or_default(),
            "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
            "metadata.uid" => meta.uid.clone().unwrap_or_default(),
            "metadata.labels" => lines(meta.labels.iter().flatten()),
            "metadata.annotations" => lines(meta.annotations.iter().flatten()),
            "spec.nodeName" => self.node_name.to_owned(),
            "spec.serviceAccountName" => spec
                .and_then(|spec| spec.service_account_name.clone())
                .unwrap_or_else(|| "default".to_owned()),
            "status.hostIP" | "status.hostIPs" => self.host_ip.to_string(),
            "status.podIP" | "status.podIPs" => self.pod_ip.to_string(),
            _ => return Err(unsupported(path)),
        })
    }

    /// A `resourceFieldRef`'s value in units of its divisor, rounded up. `own`: the container it is for.
    pub(crate) fn resource(
        &self,
        selector: &ResourceFieldSelector,
        own: Option<&Container>,
    ) -> Result<String, String> {
        let container = match &selector.container_name {
            None => own,
            Some(name) => self
                .pod
                .spec
                .iter()
                .flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
                .find(|container| container.name == *name),
        };
        let container =
            container.ok_or_else(|| format!("container {:?} not found", selector.container_name))?;
        let (kind, resource) =
            selector.resource.split_once('.').ok_or_else(|| unsupported(&selector.resource))?;
        let resources = container.resources.as_ref();
        let values = match kind {
            "limits" => resources.and_then(|resources| resources.limits.as_ref()),
            "requests" => resources.and_then(|resources| resources.requests.as_ref()),
            _ => return Err(unsupported(&selector.resource)),
        };
        let amount = match values.and_then(|values| values.get(resource)) {
            Some(amount) => quantity::thousandths(&amount.0).unwrap_or(0),
            // An absent limit is what the node has.
            None if kind == "limits" => of_node(resource),
            None => 0,
        };
        let divisor = selector
            .divisor
            .as_ref()
            .and_then(|divisor| quantity::thousandths(&divisor.0))
            .filter(|d| *d > 0);
        let divisor = divisor.unwrap_or(1000);
        Ok(((amount + divisor - 1).div_euclid(divisor)).to_string())
    }
}

/// In thousandths.
fn of_node(resource: &str) -> i128 {
    match resource {
        "cpu" => std::thread::available_parallelism().map_or(1, |count| count.get() as i128) * 1000,
        "memory" => std::fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| text.split_whitespace().nth(1)?.parse::<i128>().ok())
            .map_or(0, |kib| kib * 1024 * 1000),
        _ => 0,
    }
}

fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

fn lines<'a>(values: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    values.fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}={value:?}");
        text
    })
}

fn unsupported(path: &str) -> String {
    format!("field path {path:?} is not supported")
}
