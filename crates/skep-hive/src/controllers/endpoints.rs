//! Which pods stand behind a Service: EndpointSlices, and Endpoints for older clients.
//!
//! A pod is `ready` when its Ready condition says so and it is not on its way out; while it ends it may still be `serving`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::replicaset::is_finished;
use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::{object, selector};

pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// Looks at one Service. `pods`, `slices` and `endpoints` are those of its namespace.
pub(crate) fn step(
    service: &Value,
    pods: &[Arc<Value>],
    slices: &[Arc<Value>],
    endpoints: Option<&Value>,
) -> Step {
    let mut step = Step::default();
    let Some(wanted) = object::map(service, "/spec/selector").filter(|wanted| !wanted.is_empty()) else {
        // Without a selector the user writes the endpoints.
        return step;
    };
    if object::is_deleting(service) || object::text(service, "/spec/type") == "ExternalName" {
        return step;
    }
    let backing: Vec<_> = pods
        .iter()
        .filter(|pod| selector::contains(object::map(pod, "/metadata/labels"), wanted))
        .filter(|pod| !object::text(pod, "/status/podIP").is_empty() && !is_finished(pod))
        .collect();
    let groups = by_ports(service, &backing);
    write_slices(service, &groups, slices, &mut step);
    write_endpoints(service, &groups, endpoints, &mut step);
    step
}

/// One slice's worth: pods for which the Service's ports mean the same numbers.
struct Group<'a> {
    ports: Vec<Value>,
    pods: Vec<&'a Arc<Value>>,
}

/// A port by name is each pod's own affair, so that pods may differ in what a Service's ports mean.
fn by_ports<'a>(service: &Value, pods: &[&'a Arc<Value>]) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
    for pod in pods {
        let ports: Vec<_> =
            object::array(service, "/spec/ports").iter().filter_map(|port| resolved(port, pod)).collect();
        let key = Value::from(ports.clone()).to_string();
        groups.entry(key).or_insert_with(|| Group { ports, pods: Vec::new() }).pods.push(pod);
    }
    if groups.is_empty() {
        return vec![Group { ports: Vec::new(), pods: Vec::new() }];
    }
    groups.into_values().collect()
}

fn resolved(port: &Value, pod: &Value) -> Option<Value> {
    let protocol = match object::text(port, "/protocol") {
        "" => "TCP",
        protocol => protocol,
    };
    let number = match &port["targetPort"] {
        Value::Null => port["port"].as_i64()?,
        Value::String(name) => named_port(pod, name, protocol)?,
        // A number of 0 means "as the Service's own".
        number => number.as_i64().filter(|number| *number != 0).or(port["port"].as_i64())?,
    };
    let mut resolved = json!({"name": object::text(port, "/name"), "port": number, "protocol": protocol});
    if let Some(app) = port.get("appProtocol").filter(|app| !app.is_null()) {
        resolved["appProtocol"] = app.clone();
    }
    Some(resolved)
}

fn named_port(pod: &Value, name: &str, protocol: &str) -> Option<i64> {
    let sidecars = object::array(pod, "/spec/initContainers")
        .iter()
        .filter(|container| object::text(container, "/restartPolicy") == "Always");
    object::array(pod, "/spec/containers")
        .iter()
        .chain(sidecars)
        .flat_map(|container| object::array(container, "/ports"))
        .find(|port| {
            object::text(port, "/name") == name
                && matches!(object::text(port, "/protocol"), p if p == protocol || p.is_empty())
        })
        .and_then(|port| object::integer(port, "/containerPort"))
}

fn endpoint(service: &Value, pod: &Value) -> Value {
    let serving = object::is_true(pod, "Ready");
    let terminating = object::is_deleting(pod);
    let ready = object::flag(service, "/spec/publishNotReadyAddresses") || (serving && !terminating);
    let mut endpoint = json!({
        "addresses": [object::text(pod, "/status/podIP")],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "nodeName": object::text(pod, "/spec/nodeName"),
        "targetRef": target(pod),
    });
    let host = object::text(pod, "/spec/hostname");
    if !host.is_empty() && object::text(pod, "/spec/subdomain") == object::name(service) {
        endpoint["hostname"] = json!(host);
    }
    endpoint
}

fn target(pod: &Value) -> Value {
    json!({"kind": "Pod", "name": object::name(pod), "namespace": object::namespace(pod), "uid": object::uid(pod)})
}

fn is_headless(service: &Value) -> bool {
    object::text(service, "/spec/clusterIP") == "None"
}

fn labels(service: &Value) -> Map<String, Value> {
    let mut labels = object::map(service, "/metadata/labels").cloned().unwrap_or_default();
    if is_headless(service) {
        labels.insert("service.kubernetes.io/headless".to_owned(), json!(""));
    }
    labels
}

fn write_slices(service: &Value, groups: &[Group<'_>], slices: &[Arc<Value>], step: &mut Step) {
    let mine: Vec<_> = slices
        .iter()
        .filter(|slice| object::label(slice, SERVICE_NAME) == Some(object::name(service)))
        .filter(|slice| object::label(slice, MANAGED_BY) == Some(CONTROLLER))
        .filter(|slice| !object::is_deleting(slice))
        .collect();
    let mut wanted: Vec<Value> = groups.iter().map(|group| slice(service, group)).collect();
    // A slice whose ports are still the same keeps its name; the rest are made and dropped.
    for old in mine {
        let same = wanted.iter().position(|new| object::name(new) == object::name(old));
        match same.map(|index| wanted.swap_remove(index)) {
            None => step.push(Action::delete(Kind::ENDPOINT_SLICE, old)),
            Some(new) if is_stale(old, &new) => {
                let patch = json!({
                    "metadata": {"labels": new["metadata"]["labels"], "ownerReferences": new["metadata"]["ownerReferences"]},
                    "endpoints": new["endpoints"], "ports": new["ports"],
                });
                step.push(Action::patch(Kind::ENDPOINT_SLICE, old, patch));
            }
            Some(_) => {}
        }
    }
    // New slices first: an endpoint that moves is never absent.
    step.actions.splice(0..0, wanted.into_iter().map(Action::Create));
}

fn is_stale(old: &Value, new: &Value) -> bool {
    let differs = |key: &str| object::normal(&old[key]) != object::normal(&new[key]);
    let owner = |slice: &Value| object::controller(slice).map(|owner| object::text(owner, "/uid").to_owned());
    differs("endpoints")
        || differs("ports")
        || owner(old) != owner(new)
        || object::map(old, "/metadata/labels") != object::map(new, "/metadata/labels")
}

fn slice(service: &Value, group: &Group<'_>) -> Value {
    let mut labels = labels(service);
    labels.insert(SERVICE_NAME.to_owned(), json!(object::name(service)));
    labels.insert(MANAGED_BY.to_owned(), json!(CONTROLLER));
    let mut pods = group.pods.clone();
    pods.sort_by(|a, b| object::by_age(a, b));
    let suffix = &object::hash(&json!([object::uid(service), group.ports]), 0)[..5];
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{suffix}", object::name(service)),
            "namespace": object::namespace(service),
            "labels": labels,
            "ownerReferences": [object::controller_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": pods.iter().map(|pod| endpoint(service, pod)).collect::<Vec<_>>(),
        "ports": group.ports,
    })
}

fn write_endpoints(service: &Value, groups: &[Group<'_>], old: Option<&Value>, step: &mut Step) {
    let subsets: Vec<_> = groups.iter().filter_map(|group| subset(service, group)).collect();
    let labels = labels(service);
    let Some(old) = old else {
        step.push(Action::Create(json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": object::name(service),
                "namespace": object::namespace(service),
                "labels": labels,
                "ownerReferences": [object::controller_reference(service)],
            },
            "subsets": subsets,
        })));
        return;
    };
    let owned = object::is_controlled_by(old, object::uid(service));
    let same =
        object::array(old, "/subsets").iter().map(object::normal).eq(subsets.iter().map(object::normal));
    if !owned || !same {
        let owners = json!([object::controller_reference(service)]);
        let patch = json!({"metadata": {"ownerReferences": owners}, "subsets": subsets});
        step.push(Action::patch(Kind::ENDPOINTS, old, patch));
    }
}

fn subset(service: &Value, group: &Group<'_>) -> Option<Value> {
    let (mut ready, mut others) = (Vec::new(), Vec::new());
    for pod in &group.pods {
        let endpoint = endpoint(service, pod);
        let address = json!({"ip": endpoint["addresses"][0], "nodeName": endpoint["nodeName"], "targetRef": endpoint["targetRef"]});
        match (endpoint["conditions"]["ready"] == true, object::is_deleting(pod)) {
            (true, _) => ready.push(address),
            (false, false) => others.push(address),
            (false, true) => {}
        }
    }
    if ready.is_empty() && others.is_empty() {
        return None;
    }
    let mut subset = json!({"ports": group.ports});
    for (key, addresses) in [("addresses", ready), ("notReadyAddresses", others)] {
        if !addresses.is_empty() {
            subset[key] = Value::from(addresses);
        }
    }
    Some(subset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(edit: impl FnOnce(&mut Value)) -> Value {
        let mut service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "a", "uid": "s", "labels": {"l": "1"}},
            "spec": {"clusterIP": "10.0.0.9", "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]}});
        edit(&mut service);
        service
    }

    fn pod(name: &str, port: i64, edit: impl FnOnce(&mut Value)) -> Arc<Value> {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "a", "uid": name, "labels": {"app": "web"}},
            "spec": {"nodeName": "n", "containers": [{"ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}]}]},
            "status": {"phase": "Running", "podIP": format!("10.1.0.{}", name.len()),
                "conditions": [{"type": "Ready", "status": "True"}]}});
        edit(&mut pod);
        Arc::new(pod)
    }

    fn created(step: &Step, kind: &str) -> Vec<Value> {
        let creates = step.actions.iter().filter_map(|action| match action {
            Action::Create(object) if object["kind"] == kind => Some(object.clone()),
            _ => None,
        });
        creates.collect()
    }

    #[test]
    fn ready_serving_terminating() {
        let pods = [
            pod("a", 8080, |_| {}),
            pod("bb", 8080, |p| p["status"]["conditions"][0]["status"] = json!("False")),
            pod("ccc", 8080, |p| p["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
            pod("dddd", 8080, |p| p["status"]["podIP"] = json!("")),
            pod("eeeee", 8080, |p| p["status"]["phase"] = json!("Failed")),
            pod("ffffff", 8080, |p| p["metadata"]["labels"]["app"] = json!("api")),
        ];
        let step = step(&service(|_| {}), &pods, &[], None);
        let slices = created(&step, "EndpointSlice");
        assert_eq!(slices.len(), 1);
        let told: Vec<_> =
            object::array(&slices[0], "/endpoints").iter().map(|e| e["conditions"].clone()).collect();
        assert_eq!(
            told,
            [
                json!({"ready": true, "serving": true, "terminating": false}),
                json!({"ready": false, "serving": false, "terminating": false}),
                json!({"ready": false, "serving": true, "terminating": true}),
            ]
        );
        assert_eq!(slices[0]["metadata"]["labels"][SERVICE_NAME], "web");
        assert_eq!(slices[0]["metadata"]["labels"]["l"], "1");
        assert_eq!(slices[0]["ports"][0]["port"], 8080);
        let endpoints = &created(&step, "Endpoints")[0];
        assert_eq!(endpoints["subsets"][0]["addresses"].as_array().unwrap().len(), 1);
        assert_eq!(endpoints["subsets"][0]["notReadyAddresses"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_named_port_is_each_pods_own() {
        let pods = [pod("a", 8080, |_| {}), pod("bb", 9090, |_| {})];
        let slices = created(&step(&service(|_| {}), &pods, &[], None), "EndpointSlice");
        let ports: Vec<_> = slices.iter().map(|slice| slice["ports"][0]["port"].as_i64().unwrap()).collect();
        assert_eq!(ports, [8080, 9090]);
        assert_ne!(slices[0]["metadata"]["name"], slices[1]["metadata"]["name"]);
    }

    #[test]
    fn publishing_not_ready_addresses_makes_all_ready() {
        let service = service(|s| s["spec"]["publishNotReadyAddresses"] = json!(true));
        let pods = [pod("a", 8080, |p| p["status"]["conditions"] = json!([]))];
        let slices = created(&step(&service, &pods, &[], None), "EndpointSlice");
        assert_eq!(slices[0]["endpoints"][0]["conditions"]["ready"], true);
    }

    #[test]
    fn headless_says_so_and_services_without_selector_are_the_users() {
        let headless = service(|s| s["spec"]["clusterIP"] = json!("None"));
        let slices = created(&step(&headless, &[], &[], None), "EndpointSlice");
        assert_eq!(slices[0]["metadata"]["labels"]["service.kubernetes.io/headless"], "");
        for edit in [
            |s: &mut Value| s["spec"]["selector"] = Value::Null,
            |s: &mut Value| s["spec"]["type"] = json!("ExternalName"),
        ] {
            assert_eq!(step(&service(edit), &[pod("a", 80, |_| {})], &[], None), Step::default());
        }
    }

    #[test]
    fn a_second_look_writes_nothing_and_a_changed_pod_patches_the_slice() {
        let (service, pods) = (service(|_| {}), [pod("a", 8080, |_| {})]);
        let first = step(&service, &pods, &[], None);
        let slices: Vec<_> = created(&first, "EndpointSlice").into_iter().map(Arc::new).collect();
        let endpoints = created(&first, "Endpoints").remove(0);
        assert_eq!(step(&service, &pods, &slices, Some(&endpoints)), Step::default());
        let leaving =
            [pod("a", 8080, |p| p["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"))];
        let second = step(&service, &leaving, &slices, Some(&endpoints));
        assert!(
            matches!(&second.actions[0], Action::Patch { target, .. } if target.kind == Kind::ENDPOINT_SLICE)
        );
    }
}
