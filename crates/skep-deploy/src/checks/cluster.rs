//! Whether the cluster lets us do what a deploy does, and has nodes that can run it.

use std::collections::BTreeSet;

use serde_json::Value;
use skep_cluster::{Route, Selector};
use skep_model::{Cluster, Platform};

use super::{Finding, Severity};
use crate::{App, steps::load::Manifests};

/// What a deploy does in the namespace beside its manifests: the lock, records, the live view, logs.
const ALWAYS: &[(&str, &str, &[&str])] = &[
    ("coordination.k8s.io", "leases", &["get", "create", "update", "delete"]),
    ("", "secrets", &["get", "list", "create", "update", "patch", "delete"]),
    ("", "configmaps", &["get", "list", "patch", "delete"]),
    ("", "pods", &["list", "watch"]),
    ("", "pods/log", &["get"]),
    ("apps", "replicasets", &["list", "watch"]),
    ("apps", "deployments", &["get", "list", "watch"]),
    ("batch", "jobs", &["get", "list", "watch", "create", "delete"]),
];

pub(super) async fn findings(app: &App, manifests: &Manifests) -> Vec<Finding> {
    if app.project.cluster == Cluster::Hive {
        return Vec::new();
    }
    let (rights, nodes) = tokio::join!(rights(app, manifests), nodes(app));
    rights.into_iter().chain(nodes).collect()
}

/// One SelfSubjectRulesReview; where the server can't tell all, nothing is concluded from silence.
async fn rights(app: &App, manifests: &Manifests) -> Vec<Finding> {
    let review = match app.cluster.rules(app.namespace()).await {
        Ok(review) => review,
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            return vec![Finding::new(Severity::Error, app.project.target.clone(), error.to_string(), hint)];
        }
    };
    if review["status"]["incomplete"] == true {
        return Vec::new();
    }
    let mut wanted: Vec<(String, String, Vec<&str>)> = ALWAYS
        .iter()
        .map(|(group, resource, verbs)| ((*group).to_owned(), (*resource).to_owned(), verbs.to_vec()))
        .collect();
    for object in &manifests.objects {
        let Some(key) = object.key() else { continue };
        // A broken pod of one must go before a better one can come.
        if key.kind == "StatefulSet" {
            wanted.push((String::new(), "pods".to_owned(), vec!["delete"]));
        }
        let Ok(route) = app.cluster.route(&key.api_version, &key.kind).await else { continue };
        if !route.namespaced {
            continue;
        }
        let group = key.api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        wanted.push((group, route.plural, vec!["get", "patch", "create", "delete"]));
    }
    let mut missing = BTreeSet::new();
    for (group, resource, verbs) in &wanted {
        for verb in verbs.iter().filter(|verb| !allows(&review, group, resource, verb)) {
            let of = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
            missing.insert(format!("{verb} {of}"));
        }
    }
    if missing.is_empty() {
        return Vec::new();
    }
    let missing: Vec<String> = missing.into_iter().collect();
    let what = format!("you may not {} in namespace {}", missing.join(", "), app.namespace());
    let hint = "ask the cluster's owner for these; `kubectl auth can-i --list` shows what you have";
    vec![Finding::new(Severity::Error, app.project.target.clone(), what, hint)]
}

fn allows(review: &Value, group: &str, resource: &str, verb: &str) -> bool {
    let holds = |list: &Value, wanted: &str| {
        list.as_array().into_iter().flatten().any(|one| one == "*" || one == wanted)
    };
    let rules = review["status"]["resourceRules"].as_array().into_iter().flatten();
    rules.into_iter().any(|rule| {
        holds(&rule["verbs"], verb)
            && holds(&rule["apiGroups"], group)
            && holds(&rule["resources"], resource)
            && rule["resourceNames"].as_array().is_none_or(Vec::is_empty)
    })
}

/// The nodes' platforms against the images'. Whoever may not see nodes learns nothing here.
async fn nodes(app: &App) -> Vec<Finding> {
    let Some(route) = Route::built_in("v1", "Node") else { return Vec::new() };
    let Ok(nodes) = app.cluster.list(&route, None, &Selector::default()).await else { return Vec::new() };
    let place = format!("targets/{}", app.project.target);
    if nodes.is_empty() {
        let hint = "pods wait until there is one; an autoscaler may bring it";
        return vec![Finding::new(Severity::Warning, place, "the cluster has no nodes", hint)];
    }
    let platforms: BTreeSet<String> = nodes
        .iter()
        .map(|node| {
            let info = &node["status"]["nodeInfo"];
            let of = |key: &str| info[key].as_str().unwrap_or("unknown").to_owned();
            format!("{}/{}", of("operatingSystem"), of("architecture"))
        })
        .collect();
    let plain = |platform: &Platform| format!("{}/{}", platform.os, platform.architecture);
    let built: BTreeSet<String> = app.project.platforms.iter().map(plain).collect();
    let list = |platforms: &BTreeSet<String>| platforms.iter().cloned().collect::<Vec<_>>().join(", ");
    if built.is_disjoint(&platforms) {
        let what = format!("images are built for {}, and the nodes are {}", list(&built), list(&platforms));
        let hint = format!("set `platforms: [{}]` for this target", list(&platforms));
        return vec![Finding::new(Severity::Error, place, what, hint)];
    }
    let without: BTreeSet<String> = platforms.difference(&built).cloned().collect();
    if without.is_empty() {
        return Vec::new();
    }
    let what = format!("some nodes are {}, and images are built for {} alone", list(&without), list(&built));
    let hint = "add them to `platforms`, or keep pods away with a nodeSelector on kubernetes.io/arch";
    vec![Finding::new(Severity::Warning, place, what, hint)]
}
