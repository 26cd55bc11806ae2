//! Who reaches a service: Services by their selectors, URLs by the rules of Ingresses.

use serde_json::Value;

/// Whether a Service sends to the pods of a workload.
pub(crate) fn selects(service: &Value, workload: &Value) -> bool {
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    service["spec"]["selector"].as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| &labels[key] == value)
    })
}

/// The URLs of an Ingress, each with the Service that it goes to. `port`: where the ingress listens, when that is no standard port.
pub(crate) fn urls(ingress: &Value, port: Option<u16>) -> Vec<(String, String)> {
    let tls = ingress["spec"]["tls"].as_array().into_iter().flatten();
    let secure: Vec<&Value> = tls.filter_map(|tls| tls["hosts"].as_array()).flatten().collect();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let mut urls = Vec::new();
    for rule in ingress["spec"]["rules"].as_array().into_iter().flatten() {
        let Some(host) = rule["host"].as_str() else { continue };
        let scheme = if secure.contains(&&rule["host"]) { "https" } else { "http" };
        for path in rule["http"]["paths"].as_array().into_iter().flatten() {
            let service = path["backend"]["service"]["name"].as_str().unwrap_or("?").to_owned();
            let path = path["path"].as_str().unwrap_or("/");
            urls.push((service, format!("{scheme}://{host}{port}{path}")));
        }
    }
    urls
}
