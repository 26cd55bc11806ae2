//! Pods and pod templates.

use std::collections::HashSet;

use serde_json::Value;

use super::{Causes, LABEL, labels, quoted};
use crate::defaults::Quantity;
use crate::meta;
use crate::names;

pub(crate) fn pod(pod: &Value, causes: &mut Causes) {
    pod_spec(&pod["spec"], "spec", causes);
}

/// What may change in a pod once it is made. `nodeName` is set once, by whoever places it.
const CHANGEABLE: &[&str] =
    &["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"];

pub(crate) fn pod_update(new: &Value, old: &Value, causes: &mut Causes) {
    let unplaced = meta::text(old, "/spec/nodeName").unwrap_or_default().is_empty();
    let rest = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        CHANGEABLE.iter().for_each(|field| _ = meta::fields(&mut spec).remove(*field));
        if unplaced {
            meta::fields(&mut spec).remove("nodeName");
        }
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                for field in ["image", "imagePullPolicy"] {
                    meta::fields(container).remove(field);
                }
            }
        }
        meta::fields(&mut spec).remove("ephemeralContainers");
        spec
    };
    if rest(new) != rest(old) {
        causes.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
             existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
             previously negative)",
        );
    }
}

/// A template: labels, annotations and a pod's spec.
pub(super) fn template(template: &Value, path: &str, causes: &mut Causes) {
    labels::labels(template.pointer("/metadata/labels"), &format!("{path}.metadata.labels"), causes);
    pod_spec(&template["spec"], &format!("{path}.spec"), causes);
}

pub(super) fn pod_spec(spec: &Value, path: &str, causes: &mut Causes) {
    let one_of = |field: &str, known: &[&str], causes: &mut Causes| {
        if let Some(text) = spec.get(field).and_then(Value::as_str)
            && !known.contains(&text)
        {
            causes.unsupported(format!("{path}.{field}"), text, known);
        }
    };
    one_of("restartPolicy", &["Always", "OnFailure", "Never"], causes);
    one_of("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], causes);
    if meta::number(spec, "/terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        let seconds = &spec["terminationGracePeriodSeconds"];
        causes.invalid(
            format!("{path}.terminationGracePeriodSeconds"),
            seconds,
            "must be greater than or equal to 0",
        );
    }
    let volumes = volumes(spec, path, causes);
    if meta::list(spec, "/containers").is_empty() {
        causes.required(format!("{path}.containers"), "");
    }
    let mut seen = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (at, container) in meta::list(spec, &format!("/{list}")).iter().enumerate() {
            let path = format!("{path}.{list}[{at}]");
            let name = meta::text(container, "/name").unwrap_or_default();
            if !name.is_empty() && !seen.insert(name) {
                causes.duplicate(format!("{path}.name"), &quoted(name));
            }
            self::container(container, &path, &volumes, causes);
        }
    }
}

fn volumes<'a>(spec: &'a Value, path: &str, causes: &mut Causes) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (at, volume) in meta::list(spec, "/volumes").iter().enumerate() {
        let path = format!("{path}.volumes[{at}]");
        let name = meta::text(volume, "/name").unwrap_or_default();
        check_name(name, &path, causes);
        if !name.is_empty() && !names.insert(name) {
            causes.duplicate(format!("{path}.name"), &quoted(name));
        }
        let sources = volume.as_object().map_or(0, |fields| fields.len().saturating_sub(1));
        if sources > 1 {
            causes.forbidden(&path, "may not specify more than 1 volume type");
        }
        for (source, field) in [
            ("configMap", "name"),
            ("secret", "secretName"),
            ("persistentVolumeClaim", "claimName"),
            ("hostPath", "path"),
        ] {
            if let Some(source_value) = volume.get(source)
                && meta::text(source_value, &format!("/{field}")).unwrap_or_default().is_empty()
            {
                causes.required(format!("{path}.{source}.{field}"), "");
            }
        }
    }
    names
}

fn check_name(name: &str, path: &str, causes: &mut Causes) {
    if name.is_empty() {
        causes.required(format!("{path}.name"), "");
    } else if !names::is_label(name) {
        causes.invalid(format!("{path}.name"), &quoted(name), LABEL);
    }
}

fn container(container: &Value, path: &str, volumes: &HashSet<&str>, causes: &mut Causes) {
    check_name(meta::text(container, "/name").unwrap_or_default(), path, causes);
    match meta::text(container, "/image").unwrap_or_default() {
        "" => causes.required(format!("{path}.image"), ""),
        image if image.trim() != image => {
            causes.invalid(
                format!("{path}.image"),
                &quoted(image),
                "must not have leading or trailing whitespace",
            );
        }
        _ => {}
    }
    if let Some(policy) = meta::text(container, "/imagePullPolicy") {
        const POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
        if !POLICIES.contains(&policy) {
            causes.unsupported(format!("{path}.imagePullPolicy"), policy, POLICIES);
        }
    }
    ports(container, path, causes);
    for (at, variable) in meta::list(container, "/env").iter().enumerate() {
        let path = format!("{path}.env[{at}]");
        let name = meta::text(variable, "/name").unwrap_or_default();
        if name.is_empty() {
            causes.required(format!("{path}.name"), "");
        }
        let value = meta::text(variable, "/value").unwrap_or_default();
        if !value.is_empty() && variable.get("valueFrom").is_some() {
            causes.invalid(
                format!("{path}.valueFrom"),
                &quoted(""),
                "may not be specified when `value` is not empty",
            );
        }
    }
    let mut paths = HashSet::new();
    for (at, mount) in meta::list(container, "/volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{at}]");
        let name = meta::text(mount, "/name").unwrap_or_default();
        if name.is_empty() {
            causes.required(format!("{path}.name"), "");
        } else if !volumes.contains(name) {
            causes.not_found(format!("{path}.name"), name);
        }
        match meta::text(mount, "/mountPath").unwrap_or_default() {
            "" => causes.required(format!("{path}.mountPath"), ""),
            place if !paths.insert(place) => {
                causes.invalid(format!("{path}.mountPath"), &quoted(place), "must be unique");
            }
            _ => {}
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(name) {
            self::probe(probe, &format!("{path}.{name}"), name != "readinessProbe", causes);
        }
    }
    resources(container, path, causes);
}

fn ports(container: &Value, path: &str, causes: &mut Causes) {
    let mut names = HashSet::new();
    for (at, port) in meta::list(container, "/ports").iter().enumerate() {
        let path = format!("{path}.ports[{at}]");
        match meta::number(port, "/containerPort").unwrap_or(0) {
            0 => causes.required(format!("{path}.containerPort"), ""),
            1..=65535 => {}
            number => causes.invalid(format!("{path}.containerPort"), &number, PORT),
        }
        if let Some(name) = meta::text(port, "/name").filter(|name| !name.is_empty()) {
            if name.len() > 15 || !names::is_label(name) || !name.contains(|c: char| c.is_ascii_lowercase()) {
                causes.invalid(format!("{path}.name"), &quoted(name), PORT_NAME);
            }
            if !names.insert(name) {
                causes.duplicate(format!("{path}.name"), &quoted(name));
            }
        }
        protocol(port, &path, causes);
    }
}

pub(super) const PORT: &str = "must be between 1 and 65535, inclusive";
const PORT_NAME: &str = "must be no more than 15 characters, contain only alpha-numeric characters (a-z, 0-9), and \
    hyphens ('-'), and at least one letter (a-z)";

pub(super) fn protocol(port: &Value, path: &str, causes: &mut Causes) {
    const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
    if let Some(protocol) = meta::text(port, "/protocol").filter(|protocol| !PROTOCOLS.contains(protocol)) {
        causes.unsupported(format!("{path}.protocol"), protocol, PROTOCOLS);
    }
}

fn probe(probe: &Value, path: &str, one_success: bool, causes: &mut Causes) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    match handlers.iter().filter(|handler| probe.get(**handler).is_some()).count() {
        0 => causes.required(path, "must specify a handler type"),
        1 => {}
        _ => causes.forbidden(path, "may not specify more than 1 handler type"),
    }
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        if meta::number(probe, &format!("/{field}")).is_some_and(|number| number < 0) {
            causes.invalid(format!("{path}.{field}"), &probe[field], "must be greater than or equal to 0");
        }
    }
    if one_success && meta::number(probe, "/successThreshold").is_some_and(|count| count != 1) {
        causes.invalid(format!("{path}.successThreshold"), &probe["successThreshold"], "must be 1");
    }
    if let Some(get) = probe.get("httpGet")
        && get.get("port").is_none()
    {
        causes.required(format!("{path}.httpGet.port"), "");
    }
}

fn resources(container: &Value, path: &str, causes: &mut Causes) {
    let amounts = |kind: &str| container.pointer(&format!("/resources/{kind}")).and_then(Value::as_object);
    for kind in ["limits", "requests"] {
        for (name, amount) in amounts(kind).into_iter().flatten() {
            let parsed = amount.as_str().and_then(Quantity::parse);
            let field = format!("{path}.resources.{kind}[{name}]");
            let Some(parsed) = parsed else {
                causes.invalid(field, amount, "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
                continue;
            };
            let limit = amounts("limits").and_then(|limits| limits.get(name)?.as_str());
            if kind == "requests"
                && let Some(limit) = limit
                && Quantity::parse(limit).is_some_and(|limit| !parsed.fits(limit))
            {
                causes.invalid(
                    format!("{path}.resources.requests"),
                    amount,
                    &format!("must be less than or equal to {name} limit of {limit}"),
                );
            }
        }
    }
}
