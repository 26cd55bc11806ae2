//! Pods and pod templates.

use serde_json::{Value, json};

use super::{items, object, set};
use crate::meta;

/// Files of a ConfigMap, Secret, … are readable by all: 0644.
const FILE_MODE: i64 = 0o644;

pub(crate) fn pod(pod: &mut Value) {
    let spec = meta::child(pod, "spec");
    pod_spec(spec);
    set(spec, "enableServiceLinks", true);
    set(spec, "serviceAccountName", "default");
    name_account(spec);
    for list in ["containers", "initContainers"] {
        items(spec, list).iter_mut().for_each(requests_from_limits);
    }
    let class = quality_class(spec);
    let status = meta::child(pod, "status");
    set(status, "phase", "Pending");
    set(status, "qosClass", class);
}

/// A ServiceAccount has an old name beside its name: each fills the other in, the newer one counts.
fn name_account(spec: &mut Value) {
    let names = ["serviceAccountName", "serviceAccount"].into_iter().filter_map(|key| spec[key].as_str());
    if let Some(name) = names.into_iter().find(|name| !name.is_empty()).map(Value::from) {
        spec["serviceAccountName"] = name.clone();
        spec["serviceAccount"] = name;
    }
}

/// What a pod and a pod template have in common.
pub(super) fn pod_spec(spec: &mut Value) {
    name_account(spec);
    set(spec, "restartPolicy", "Always");
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "schedulerName", "default-scheduler");
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "securityContext", json!({}));
    items(spec, "volumes").iter_mut().for_each(volume);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        items(spec, list).iter_mut().for_each(container);
    }
    let on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for container in items(spec, "containers").iter_mut().filter(|_| on_host) {
        for port in items(container, "ports") {
            let number = port.get("containerPort").cloned().unwrap_or_default();
            set(port, "hostPort", number);
        }
    }
}

fn container(container: &mut Value) {
    let image = meta::text(container, "/image").unwrap_or_default();
    let policy = if always_pulled(image) { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", policy);
    set(container, "terminationMessagePath", "/dev/termination-log");
    set(container, "terminationMessagePolicy", "File");
    set(container, "resources", json!({}));
    for port in items(container, "ports") {
        set(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        if let Some(field) = object(variable, "valueFrom").and_then(|source| object(source, "fieldRef")) {
            set(field, "apiVersion", "v1");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = object(container, name) {
            set(probe, "timeoutSeconds", 1);
            set(probe, "periodSeconds", 10);
            set(probe, "successThreshold", 1);
            set(probe, "failureThreshold", 3);
            http(probe);
            if let Some(grpc) = object(probe, "grpc") {
                set(grpc, "service", "");
            }
        }
    }
    if let Some(lifecycle) = object(container, "lifecycle") {
        for name in ["postStart", "preStop"] {
            if let Some(handler) = object(lifecycle, name) {
                http(handler);
            }
        }
    }
}

fn http(handler: &mut Value) {
    if let Some(get) = object(handler, "httpGet") {
        set(get, "path", "/");
        set(get, "scheme", "HTTP");
    }
}

/// An image without a tag, or with `latest`, may change at any time. A digest never does.
fn always_pulled(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume(volume: &mut Value) {
    let sources = volume.as_object().map_or(0, |fields| fields.keys().filter(|name| *name != "name").count());
    if sources == 0 {
        set(volume, "emptyDir", json!({}));
    }
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = object(volume, name) {
            set(source, "defaultMode", FILE_MODE);
            downward(source);
            for part in items(source, "sources") {
                if let Some(token) = object(part, "serviceAccountToken") {
                    set(token, "expirationSeconds", 3600);
                }
                if let Some(part) = object(part, "downwardAPI") {
                    downward(part);
                }
            }
        }
    }
    if let Some(path) = object(volume, "hostPath") {
        set(path, "type", "");
    }
}

fn downward(source: &mut Value) {
    for item in items(source, "items") {
        if let Some(field) = object(item, "fieldRef") {
            set(field, "apiVersion", "v1");
        }
    }
}

fn requests_from_limits(container: &mut Value) {
    let Some(limits) = container.pointer("/resources/limits").and_then(Value::as_object).cloned() else {
        return;
    };
    let requests = meta::child(meta::child(container, "resources"), "requests");
    for (name, amount) in limits {
        set(requests, &name, amount);
    }
}

/// `status.qosClass`.
fn quality_class(spec: &Value) -> &'static str {
    let mut any = false;
    let mut all = true;
    let lists = ["/containers", "/initContainers"];
    for container in lists.iter().flat_map(|list| meta::list(spec, list)) {
        for name in ["cpu", "memory"] {
            let amount = |kind: &str| container.pointer(&format!("/resources/{kind}/{name}"));
            any |= amount("requests").is_some() || amount("limits").is_some();
            all &= amount("limits").is_some() && amount("requests") == amount("limits");
        }
    }
    match (any, all) {
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, _) => "BestEffort",
    }
}
