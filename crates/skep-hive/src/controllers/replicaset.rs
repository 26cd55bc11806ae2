//! ReplicaSets: as many pods of one template as `spec.replicas` says.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::claim;
use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::{object, selector};

/// Looks at one ReplicaSet. `pods`: all of its namespace.
pub(crate) fn step(set: &Value, pods: &[Arc<Value>], now: Timestamp) -> Step {
    let mine = match claim::claim(Kind::POD, set, pods) {
        Ok(mine) => mine,
        Err(claims) => return Step { actions: claims, again: None },
    };
    let (active, rest): (Vec<_>, Vec<_>) = mine.into_iter().partition(|pod| is_active(pod));
    let terminating = rest.iter().filter(|pod| object::is_deleting(pod) && !is_finished(pod)).count();
    let mut step = Step::default();
    if !object::is_deleting(set) {
        correct_count(set, &active, &mut step);
    }
    report(set, &active, terminating, now, &mut step);
    step
}

/// Neither finished nor on its way out: only such pods count, so that a replacement starts while the old one ends.
pub(crate) fn is_active(pod: &Value) -> bool {
    !object::is_deleting(pod) && !is_finished(pod)
}

pub(crate) fn is_finished(pod: &Value) -> bool {
    matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn correct_count(set: &Value, active: &[Arc<Value>], step: &mut Step) {
    let wanted = usize::try_from(object::integer(set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    for _ in active.len()..wanted {
        step.push(Action::Create(pod_of(set)));
    }
    if active.len() > wanted {
        let mut leaving = active.to_vec();
        leaving.sort_by_cached_key(|pod| usefulness(pod));
        for pod in leaving.iter().take(active.len() - wanted) {
            step.push(Action::delete(Kind::POD, pod));
            step.push(Action::event(set, "SuccessfulDelete", format!("Deleted pod: {}", object::name(pod))));
        }
    }
}

/// The order in which pods are given up, least useful first (`ActivePodsWithRanks` in Kubernetes' controller_utils).
fn usefulness(pod: &Value) -> impl Ord + use<> {
    let assigned = !object::text(pod, "/spec/nodeName").is_empty();
    let phase = match object::text(pod, "/status/phase") {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let cost: i64 =
        object::annotation(pod, "controller.kubernetes.io/pod-deletion-cost").parse().unwrap_or(0);
    let ready_since = object::is_true(pod, "Ready").then(|| ready_time(pod)).flatten();
    let restarts: i64 = object::array(pod, "/status/containerStatuses")
        .iter()
        .filter_map(|container| object::integer(container, "/restartCount"))
        .sum();
    (
        assigned,
        phase,
        ready_since.is_some(),
        cost,
        Reverse(ready_since),
        Reverse(restarts),
        Reverse(object::created(pod)),
    )
}

fn pod_of(set: &Value) -> Value {
    let template = set.pointer("/spec/template").cloned().unwrap_or_default();
    pod_from(set, &template)
}

/// A pod of a template, owned by `owner` and named after it.
pub(crate) fn pod_from(owner: &Value, template: &Value) -> Value {
    let mut metadata = json!({
        "generateName": format!("{}-", object::name(owner)),
        "namespace": object::namespace(owner),
        "ownerReferences": [object::controller_reference(owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| !value.is_null())
        {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

fn report(set: &Value, active: &[Arc<Value>], terminating: usize, now: Timestamp, step: &mut Step) {
    let no_labels = serde_json::Map::new();
    let labels = object::map(set, "/spec/template/metadata/labels").unwrap_or(&no_labels);
    let labelled =
        active.iter().filter(|pod| selector::contains(object::map(pod, "/metadata/labels"), labels));
    let wait = SignedDuration::from_secs(object::integer(set, "/spec/minReadySeconds").unwrap_or(0));
    let (mut ready, mut available) = (0, 0);
    for pod in active.iter().filter(|pod| object::is_true(pod, "Ready")) {
        ready += 1;
        // No event will come when a ready pod becomes available: only the time decides that.
        match ready_time(pod).and_then(|since| since.checked_add(wait).ok()) {
            Some(due) if due > now && !wait.is_zero() => step.at(due),
            _ => available += 1,
        }
    }
    let status = json!({
        "replicas": active.len(),
        "fullyLabeledReplicas": labelled.count(),
        "readyReplicas": ready,
        "availableReplicas": available,
        "terminatingReplicas": terminating,
        "observedGeneration": object::integer(set, "/metadata/generation").unwrap_or(1),
        // Set by the loop when the API refuses a pod; a look that got this far ends it.
        "conditions": others(set),
    });
    step.actions.extend(Action::status(set, status));
}

fn ready_time(pod: &Value) -> Option<Timestamp> {
    object::condition(pod, "Ready").and_then(|ready| object::time(ready, "/lastTransitionTime"))
}

fn others(set: &Value) -> Value {
    let kept = object::array(set, "/status/conditions").iter().filter(|one| one["type"] != "ReplicaFailure");
    let kept: Vec<_> = kept.cloned().collect();
    if kept.is_empty() { Value::Null } else { Value::from(kept) }
}

/// The status of a ReplicaSet whose pods the API refused to create, told as `kubectl describe` shows it. The first refusal stands, as in
/// Kubernetes: each names another pod, and a status that changes calls for another look.
pub(crate) fn refused(set: &Value, message: &str, now: Timestamp) -> Option<Action> {
    if object::is_true(set, "ReplicaFailure") {
        return None;
    }
    let mut status =
        set.get("status").cloned().filter(Value::is_object).unwrap_or_else(|| json!({"replicas": 0}));
    let mut conditions: Vec<_> = others(set).as_array().cloned().unwrap_or_default();
    conditions.push(json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": message, "lastTransitionTime": object::stamp(now)}));
    status["conditions"] = Value::from(conditions);
    Action::status(set, status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn set(replicas: i64, min_ready: i64) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "web-1", "namespace": "a", "uid": "rs", "generation": 3},
            "spec": {"replicas": replicas, "minReadySeconds": min_ready, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}}})
    }

    fn pod(name: &str, edit: impl FnOnce(&mut Value)) -> Arc<Value> {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "uid": name,
            "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"uid": "rs", "controller": true}]},
            "spec": {"nodeName": "n"},
            "status": {"phase": "Running", "conditions":
                [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]}});
        edit(&mut pod);
        Arc::new(pod)
    }

    fn deleted(step: &Step) -> Vec<&str> {
        let deletes = step.actions.iter().filter_map(|action| match action {
            Action::Delete { target, .. } => Some(target.name.as_str()),
            _ => None,
        });
        deletes.collect()
    }

    fn status(step: &Step) -> &Value {
        step.actions
            .iter()
            .find_map(|action| match action {
                Action::Status(object) => Some(&object["status"]),
                _ => None,
            })
            .expect("a status write")
    }

    #[test]
    fn missing_pods_are_created_from_the_template() {
        let step = step(&set(2, 0), &[], at("2026-01-01T00:00:20Z"));
        let created: Vec<_> = step.actions.iter().filter(|a| matches!(a, Action::Create(_))).collect();
        assert_eq!(created.len(), 2);
        let Action::Create(pod) = created[0] else { unreachable!() };
        assert_eq!(pod["metadata"]["generateName"], "web-1-");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["controller"], true);
        assert_eq!(pod["metadata"]["labels"]["app"], "web");
    }

    #[test]
    fn least_useful_pods_go_first() {
        let pods = [
            pod("old-ready", |_| {}),
            pod("young-ready", |p| {
                p["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T00:05:00Z");
            }),
            pod("costly", |p| {
                p["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": "100"});
            }),
            pod("unready", |p| p["status"]["conditions"][0]["status"] = json!("False")),
            pod("pending", |p| p["status"] = json!({"phase": "Pending"})),
            pod("unassigned", |p| {
                p["spec"] = json!({});
                p["status"] = json!({"phase": "Pending"});
            }),
        ];
        let step = step(&set(1, 0), &pods, at("2026-01-01T01:00:00Z"));
        assert_eq!(deleted(&step), ["unassigned", "pending", "unready", "young-ready", "old-ready"]);
    }

    #[test]
    fn leaving_and_finished_pods_are_replaced_at_once() {
        let pods = [
            pod("leaving", |p| p["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:30Z")),
            pod("failed", |p| p["status"]["phase"] = json!("Failed")),
        ];
        let step = step(&set(1, 0), &pods, at("2026-01-01T01:00:00Z"));
        assert!(matches!(step.actions[0], Action::Create(_)));
        assert_eq!(status(&step)["replicas"], 0);
        assert_eq!(status(&step)["terminatingReplicas"], 1);
        assert_eq!(status(&step)["observedGeneration"], 3);
    }

    #[test]
    fn ready_becomes_available_after_min_ready_seconds_without_any_event() {
        let pods = [pod("p", |_| {})];
        let early = step(&set(1, 30), &pods, at("2026-01-01T00:00:20Z"));
        assert_eq!(status(&early)["readyReplicas"], 1);
        assert_eq!(status(&early)["availableReplicas"], 0);
        assert_eq!(early.again, Some(at("2026-01-01T00:00:40Z")));
        let late = step(&set(1, 30), &pods, at("2026-01-01T00:00:40Z"));
        assert_eq!(status(&late)["availableReplicas"], 1);
        assert_eq!(late.again, None);
    }

    #[test]
    fn a_refusal_is_noted_once() {
        let at = at("2026-01-01T00:00:20Z");
        let mut set = set(2, 0);
        let Some(Action::Status(noted)) = refused(&set, "pods \"web-1-a\" is forbidden", at) else {
            panic!("it is noted")
        };
        set["status"] = noted["status"].clone();
        assert_eq!(refused(&set, "pods \"web-1-b\" is forbidden", at), None);
    }

    #[test]
    fn a_deleted_set_makes_no_pods() {
        let mut set = set(2, 0);
        set["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:30Z");
        let step = step(&set, &[], at("2026-01-01T01:00:00Z"));
        assert!(!step.actions.iter().any(|action| matches!(action, Action::Create(_))));
    }
}
