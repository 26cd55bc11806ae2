//! Services whose address is no longer this machine's.
//!
//! The node keeps its subnets from one start to the next unless something else took them meanwhile (a VPN, another hive).
//! Then every stored `clusterIP` leads nowhere, and since it can't be changed, such a Service is made anew.

use serde_json::Value;
use skep_apiserver::{DeleteOptions, Preconditions, Resources, Status};
use skep_node::Cidr;

use crate::kind::Kind;
use crate::object;

/// Gives Services outside of `network` an address inside. Their endpoints follow by themselves.
///
/// # Errors
/// What the API refuses.
pub(super) async fn readdress(resources: &Resources, network: Cidr) -> Result<(), Status> {
    for service in resources.list(Kind::SERVICE, None) {
        let Some(moved) = moved(&service, network) else { continue };
        let (namespace, name) = (object::namespace(&service), object::name(&service));
        let before = object::text(&service, "/spec/clusterIP");
        tracing::warn!(namespace, name, before, %network, "a Service gets a new address: its old one is taken");
        let options = DeleteOptions {
            preconditions: Preconditions {
                uid: Some(object::uid(&service).to_owned()),
                resource_version: None,
            },
            ..DeleteOptions::default()
        };
        resources.delete(Kind::SERVICE, Some(namespace), name, options).await?;
        resources.create(moved, "skep-hive").await?;
    }
    Ok(())
}

/// The Service as it is made anew, if its address is outside of `network`.
fn moved(service: &Value, network: Cidr) -> Option<Value> {
    let address = object::text(service, "/spec/clusterIP").parse().ok()?;
    if network.contains(address) || object::is_deleting(service) {
        return None;
    }
    let mut moved = service.clone();
    for (part, fields) in [
        ("metadata", ["uid", "resourceVersion", "creationTimestamp", "generation"].as_slice()),
        ("spec", &["clusterIP", "clusterIPs"]),
    ] {
        let part = moved.get_mut(part)?.as_object_mut()?;
        for field in fields {
            part.remove(*field);
        }
    }
    Some(moved)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skep_apiserver::ResourcesConfig;

    use super::*;

    #[tokio::test]
    async fn services_outside_the_network_are_made_anew_inside_it() {
        let service = |name: &str, ip: &str| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default",
                "labels": {"kept": "yes"}}, "spec": {"clusterIP": ip, "selector": {"app": name}, "ports": [{"port": 80}]}})
        };
        let network: Cidr = "10.77.0.0/24".parse().unwrap();
        // An API without a network of its own takes any address: as if it had been another one before.
        let before = Resources::open(ResourcesConfig::default()).unwrap();
        for (name, ip) in [("out", "10.66.0.5"), ("in", "10.77.0.5"), ("headless", "None")] {
            before.create(service(name, ip), "test").await.unwrap();
        }
        let kept = before.get(Kind::SERVICE, Some("default"), "in").unwrap();
        readdress(&before, network).await.unwrap();
        assert_eq!(before.get(Kind::SERVICE, Some("default"), "in").unwrap(), kept);
        let moved = before.get(Kind::SERVICE, Some("default"), "out").unwrap();
        assert_ne!(object::text(&moved, "/spec/clusterIP"), "10.66.0.5");
        assert_eq!(object::label(&moved, "kept"), Some("yes"));
        assert_eq!(moved["spec"]["ports"][0]["port"], 80);
    }
}
