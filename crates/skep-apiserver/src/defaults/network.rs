//! Service, Endpoints, EndpointSlice, NetworkPolicy.

use serde_json::{Value, json};

use super::{items, set};
use crate::meta;

pub(crate) fn service(service: &mut Value) {
    let spec = meta::child(service, "spec");
    set(spec, "type", "ClusterIP");
    set(spec, "sessionAffinity", "None");
    let kind = meta::text(spec, "/type").unwrap_or_default().to_owned();
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", "Cluster");
        set(spec, "ipFamilies", json!(["IPv4"]));
        set(spec, "ipFamilyPolicy", "SingleStack");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        set(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
    for port in items(spec, "ports") {
        set(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or_default();
        let missing = matches!(port.get("targetPort"), None | Some(Value::Null))
            || port["targetPort"] == 0
            || port["targetPort"] == "";
        if missing {
            port["targetPort"] = number;
        }
    }
    set(meta::child(service, "status"), "loadBalancer", json!({}));
}

pub(crate) fn endpoints(endpoints: &mut Value) {
    for subset in items(endpoints, "subsets") {
        for port in items(subset, "ports") {
            set(port, "protocol", "TCP");
        }
    }
}

pub(crate) fn endpoint_slice(slice: &mut Value) {
    for port in items(slice, "ports") {
        set(port, "name", "");
        set(port, "protocol", "TCP");
    }
}

pub(crate) fn network_policy(policy: &mut Value) {
    let spec = meta::child(policy, "spec");
    let egress = spec.get("egress").is_some();
    set(spec, "policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            for port in items(rule, "ports") {
                set(port, "protocol", "TCP");
            }
        }
    }
}
