//! Service and Ingress.

use std::collections::HashSet;

use serde_json::Value;

use super::pod::{PORT, protocol};
use super::{Causes, SUBDOMAIN, labels, quoted};
use crate::meta;
use crate::names;

pub(crate) fn service(service: &Value, causes: &mut Causes) {
    const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let kind = meta::text(service, "/spec/type").unwrap_or_default();
    if !TYPES.contains(&kind) {
        causes.unsupported("spec.type", kind, TYPES);
    }
    if kind == "ExternalName" && meta::text(service, "/spec/externalName").unwrap_or_default().is_empty() {
        causes.required("spec.externalName", "");
    }
    labels::labels(service.pointer("/spec/selector"), "spec.selector", causes);
    let ports = meta::list(service, "/spec/ports");
    let headless = meta::text(service, "/spec/clusterIP") == Some("None");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        causes.required("spec.ports", "");
    }
    let (mut seen, mut numbers) = (HashSet::new(), HashSet::new());
    for (at, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        let number = meta::number(port, "/port").unwrap_or(0);
        if !(1..=65535).contains(&number) {
            causes.invalid(format!("{path}.port"), &number, PORT);
        }
        if let Some(target) = meta::number(port, "/targetPort").filter(|target| !(1..=65535).contains(target))
        {
            causes.invalid(format!("{path}.targetPort"), &target, PORT);
        }
        protocol(port, &path, causes);
        match meta::text(port, "/name").unwrap_or_default() {
            "" if ports.len() > 1 => causes.required(format!("{path}.name"), ""),
            "" => {}
            name if !names::is_label(name) => {
                causes.invalid(format!("{path}.name"), &quoted(name), super::LABEL);
            }
            name if !seen.insert(name) => causes.duplicate(format!("{path}.name"), &quoted(name)),
            _ => {}
        }
        if !numbers.insert((number, meta::text(port, "/protocol"))) {
            causes.duplicate(&path, port);
        }
    }
}

pub(crate) fn service_update(new: &Value, old: &Value, causes: &mut Causes) {
    let address = |service| meta::text(service, "/spec/clusterIP").unwrap_or_default();
    let external = |service| meta::text(service, "/spec/type") == Some("ExternalName");
    if external(new) || external(old) || address(old).is_empty() {
        return;
    }
    if address(new) != address(old) {
        causes.invalid(
            "spec.clusterIPs[0]",
            &format!("[{}]", quoted(address(new))),
            "may not change once set",
        );
    }
}

pub(crate) fn ingress(ingress: &Value, causes: &mut Causes) {
    let rules = meta::list(ingress, "/spec/rules");
    let default = ingress.pointer("/spec/defaultBackend");
    if rules.is_empty() && default.is_none() {
        causes.invalid("spec", &"", "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(default) = default {
        backend(default, "spec.defaultBackend", causes);
    }
    for (at, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{at}]");
        if let Some(host) = meta::text(rule, "/host").filter(|host| !host.is_empty()) {
            let plain = host.strip_prefix("*.").unwrap_or(host);
            if !names::is_subdomain(plain) {
                causes.invalid(format!("{path}.host"), &quoted(host), SUBDOMAIN);
            }
        }
        let Some(http) = rule.get("http") else { continue };
        if meta::list(http, "/paths").is_empty() {
            causes.required(format!("{path}.http.paths"), "");
        }
        for (at, route) in meta::list(http, "/paths").iter().enumerate() {
            let path = format!("{path}.http.paths[{at}]");
            self::route(route, &path, causes);
        }
    }
}

fn route(route: &Value, path: &str, causes: &mut Causes) {
    const TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
    let text = meta::text(route, "/path").unwrap_or_default();
    match meta::text(route, "/pathType").unwrap_or_default() {
        "" => causes.required(format!("{path}.pathType"), "pathType must be specified"),
        "Exact" | "Prefix" if !text.starts_with('/') => {
            causes.invalid(format!("{path}.path"), &quoted(text), "must be an absolute path");
        }
        known if TYPES.contains(&known) => {}
        other => causes.unsupported(format!("{path}.pathType"), other, TYPES),
    }
    match route.get("backend") {
        Some(target) => backend(target, &format!("{path}.backend"), causes),
        None => causes.required(format!("{path}.backend"), ""),
    }
}

fn backend(backend: &Value, path: &str, causes: &mut Causes) {
    let Some(service) = backend.get("service") else {
        if backend.get("resource").is_none() {
            causes.required(path, "either a service or a resource backend is required");
        }
        return;
    };
    if meta::text(service, "/name").unwrap_or_default().is_empty() {
        causes.required(format!("{path}.service.name"), "");
    }
    if service.pointer("/port/name").is_none() && service.pointer("/port/number").is_none() {
        causes.required(format!("{path}.service.port"), "port name or number is required");
    }
}
