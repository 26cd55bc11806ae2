//! What is served, told to clients: aggregated discovery, the plain kind, and enough of OpenAPI for kubectl.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::kinds;

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// Kinds that are asked and never stored: group, plural, kind.
pub(crate) const REVIEWS: &[(&str, &str, &str)] = &[
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
];

/// One resource or subresource.
struct Resource {
    kind: &'static str,
    plural: &'static str,
    info: Option<Kind>,
    verbs: &'static [&'static str],
    subresources: Vec<(&'static str, Value, &'static [&'static str])>,
}

/// Group and version → resources, in the order of discovery.
fn groups() -> BTreeMap<(&'static str, &'static str), Vec<Resource>> {
    let mut groups: BTreeMap<_, Vec<Resource>> = BTreeMap::new();
    for kind in kinds::ALL {
        let info = kind.info();
        let own = json!({"group": info.group, "version": info.version, "kind": info.kind});
        let mut subresources = Vec::new();
        if info.subresources.status {
            subresources.push(("status", own, &["get", "patch", "update"][..]));
        }
        if info.subresources.scale {
            let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
            subresources.push(("scale", scale, &["get", "patch", "update"][..]));
        }
        if info.subresources.eviction {
            let eviction = json!({"group": "policy", "version": "v1", "kind": "Eviction"});
            subresources.push(("eviction", eviction, &["create"][..]));
        }
        if info.subresources.log {
            let pod = json!({"group": "", "version": "v1", "kind": "Pod"});
            subresources.push(("log", pod, &["get"][..]));
        }
        let resource =
            Resource { kind: info.kind, plural: info.plural, info: Some(*kind), verbs: VERBS, subresources };
        groups.entry((info.group, info.version)).or_default().push(resource);
    }
    for (group, plural, kind) in REVIEWS {
        let resource = Resource { kind, plural, info: None, verbs: &["create"], subresources: Vec::new() };
        groups.entry((*group, "v1")).or_default().push(resource);
    }
    groups
}

/// `APIGroupDiscoveryList`: of the core group, or of all others. `version` is the format's: `v2` or `v2beta1`.
pub(crate) fn aggregated(core: bool, version: &str) -> Value {
    let mut items = Vec::new();
    for ((group, group_version), resources) in groups() {
        if group.is_empty() != core {
            continue;
        }
        let resources: Vec<Value> =
            resources.iter().map(|r| aggregated_resource(group, group_version, r)).collect();
        items.push(json!({
            "metadata": {"name": group, "creationTimestamp": null},
            "versions": [{"version": group_version, "resources": resources, "freshness": "Current"}],
        }));
    }
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items})
}

fn aggregated_resource(group: &str, version: &str, resource: &Resource) -> Value {
    let mut value = json!({
        "resource": resource.plural,
        "responseKind": {"group": group, "version": version, "kind": resource.kind},
        "scope": "Cluster", "singularResource": resource.kind.to_lowercase(), "verbs": resource.verbs,
    });
    if let Some(kind) = resource.info {
        let info = kind.info();
        value["scope"] = Value::from(if info.namespaced { "Namespaced" } else { "Cluster" });
        value["singularResource"] = Value::from(info.singular);
        if !info.short_names.is_empty() {
            value["shortNames"] = json!(info.short_names);
        }
        if !info.categories.is_empty() {
            value["categories"] = json!(info.categories);
        }
    }
    if !resource.subresources.is_empty() {
        let each = resource.subresources.iter();
        value["subresources"] = each
            .map(|(name, kind, verbs)| json!({"subresource": name, "responseKind": kind, "verbs": verbs}))
            .collect();
    }
    value
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(crate) fn group_list() -> Value {
    let names = groups().into_keys().filter(|(group, _)| !group.is_empty());
    let groups: Vec<Value> = names.map(|(group, version)| group_value(group, version)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`.
pub(crate) fn group(name: &str) -> Option<Value> {
    let (group, version) = groups().into_keys().find(|(group, _)| *group == name && !group.is_empty())?;
    let mut value = group_value(group, version);
    value["kind"] = Value::from("APIGroup");
    value["apiVersion"] = Value::from("v1");
    Some(value)
}

fn group_value(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

/// `/api/v1`, `/apis/<group>/<version>`.
pub(crate) fn resource_list(group: &str, version: &str) -> Option<Value> {
    let groups = groups();
    let found = groups.iter().find(|((g, v), _)| *g == group && *v == version)?;
    let mut resources = Vec::new();
    for resource in found.1 {
        let namespaced = resource.info.is_some_and(Kind::namespaced);
        let mut value = json!({
            "name": resource.plural, "singularName": resource.kind.to_lowercase(), "namespaced": namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        if let Some(kind) = resource.info {
            if !kind.info().short_names.is_empty() {
                value["shortNames"] = json!(kind.info().short_names);
            }
            if !kind.info().categories.is_empty() {
                value["categories"] = json!(kind.info().categories);
            }
        }
        resources.push(value);
        for (name, kind, verbs) in &resource.subresources {
            resources.push(json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": namespaced,
                "group": kind["group"], "version": kind["version"], "kind": kind["kind"], "verbs": verbs,
            }));
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

/// `/openapi/v3`.
pub(crate) fn openapi_index() -> Value {
    let paths: serde_json::Map<String, Value> = groups()
        .into_keys()
        .map(|(group, version)| {
            let path = openapi_path(group, version);
            let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

fn openapi_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// `/openapi/v3/<path>`: no schemas, only that a kind's PATCH takes `fieldValidation`. From that kubectl learns that the
/// server validates, and leaves it to it.
pub(crate) fn openapi(path: &str) -> Option<Value> {
    let groups = groups();
    let ((group, version), resources) = groups.iter().find(|((g, v), _)| openapi_path(g, v) == path)?;
    let mut paths = serde_json::Map::new();
    for resource in resources {
        let scope = if resource.info.is_some_and(Kind::namespaced) { "namespaces/{namespace}/" } else { "" };
        let names = json!({"group": group, "version": version, "kind": resource.kind});
        let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
        let parameters = [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")];
        let operation = json!({
            "x-kubernetes-group-version-kind": names, "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
        });
        paths.insert(format!("/{path}/{scope}{}", resource.plural), json!({"post": operation}));
        if resource.info.is_some() {
            let item = json!({"patch": operation, "put": operation});
            paths.insert(format!("/{path}/{scope}{}/{{name}}", resource.plural), item);
        }
    }
    Some(
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": paths, "components": {"schemas": {}}}),
    )
}
