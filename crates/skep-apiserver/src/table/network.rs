//! Services, endpoints, Ingresses.

use serde_json::Value;

use super::{Columns, created, name, number, or, text, wide};
use crate::meta;

pub(crate) static SERVICES: Columns = Columns {
    head: &[
        text("Name"),
        text("Type"),
        text("Cluster-IP"),
        text("External-IP"),
        text("Port(s)"),
        text("Age"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let ports = meta::list(object, "/spec/ports").iter().map(|port| {
            let (number, protocol) = (number(port, "/port"), or(port, "/protocol", "TCP"));
            match meta::number(port, "/nodePort").filter(|node| *node > 0) {
                Some(node) => format!("{number}:{node}/{protocol}"),
                None => format!("{number}/{protocol}"),
            }
        });
        let ports: Vec<String> = ports.collect();
        let labels = object.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
        let labels: Vec<String> =
            labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        vec![
            name(object),
            Value::from(or(object, "/spec/type", "ClusterIP")),
            Value::from(or(object, "/spec/clusterIP", "<none>")),
            Value::from(or(object, "/spec/externalName", "<none>")),
            Value::from(if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }),
            created(object, now),
            Value::from(if labels.is_empty() { "<none>".to_owned() } else { labels.join(",") }),
        ]
    },
};

pub(crate) static ENDPOINTS: Columns = Columns {
    head: &[text("Name"), text("Endpoints"), text("Age")],
    cells: |object, now| {
        let mut all = Vec::new();
        for subset in meta::list(object, "/subsets") {
            for address in meta::list(subset, "/addresses") {
                for port in meta::list(subset, "/ports") {
                    all.push(format!("{}:{}", or(address, "/ip", ""), number(port, "/port")));
                }
            }
        }
        vec![name(object), Value::from(shortened(&all)), created(object, now)]
    },
};

pub(crate) static ENDPOINT_SLICES: Columns = Columns {
    head: &[text("Name"), text("AddressType"), text("Ports"), text("Endpoints"), text("Age")],
    cells: |object, now| {
        let ports = meta::list(object, "/ports").iter().map(|port| number(port, "/port").to_string());
        let ports: Vec<String> = ports.collect();
        let addresses = meta::list(object, "/endpoints").iter().flat_map(|e| meta::list(e, "/addresses"));
        let addresses: Vec<String> = addresses.filter_map(|a| a.as_str().map(str::to_owned)).collect();
        vec![
            name(object),
            Value::from(or(object, "/addressType", "")),
            Value::from(shortened(&ports)),
            Value::from(shortened(&addresses)),
            created(object, now),
        ]
    },
};

pub(crate) static INGRESSES: Columns = Columns {
    head: &[text("Name"), text("Class"), text("Hosts"), text("Address"), text("Ports"), text("Age")],
    cells: |object, now| {
        let hosts = meta::list(object, "/spec/rules").iter().map(|rule| or(rule, "/host", "*").to_owned());
        let hosts: Vec<String> = hosts.collect();
        let addresses = meta::list(object, "/status/loadBalancer/ingress").iter();
        let addresses: Vec<&str> = addresses.map(|a| or(a, "/ip", or(a, "/hostname", ""))).collect();
        let ports = if meta::list(object, "/spec/tls").is_empty() { "80" } else { "80, 443" };
        vec![
            name(object),
            Value::from(or(object, "/spec/ingressClassName", "<none>")),
            Value::from(if hosts.is_empty() { "*".to_owned() } else { shortened(&hosts) }),
            Value::from(addresses.join(",")),
            Value::from(ports),
            created(object, now),
        ]
    },
};

/// The first three, and how many more.
fn shortened(all: &[String]) -> String {
    match all {
        [] => "<none>".to_owned(),
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a},{b},{c} + {} more...", rest.len()),
        all => all.join(","),
    }
}
