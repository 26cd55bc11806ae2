//! The scheduler of a cluster with one node: a pod goes there, or is told why it can't.

use std::borrow::Borrow;

use jiff::Timestamp;
use serde_json::{Value, json};
use skep_apiserver::Quantity;

use super::replicaset;
use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::{object, selector};

/// Which pods are its own, by `spec.schedulerName`.
const NAME: &str = "default-scheduler";

/// The effects of a taint that keep a pod from coming.
const KEEPS_AWAY: &[&str] = &["NoSchedule", "NoExecute"];

/// Looks at one pod. `node`: the Node object; it tells by `spec.unschedulable` and its Ready condition whether pods can run.
/// `pods`: those of all namespaces, which share the node; `claims`: the PersistentVolumeClaims of the pod's namespace.
pub(crate) fn step<C: Borrow<Value>>(
    pod: &Value,
    node: &Value,
    pods: &[C],
    claims: &[C],
    now: Timestamp,
) -> Step {
    let mut step = Step::default();
    let is_ours = matches!(object::text(pod, "/spec/schedulerName"), "" | NAME);
    if !is_ours || !object::text(pod, "/spec/nodeName").is_empty() || object::is_deleting(pod) {
        return step;
    }
    if !object::array(pod, "/spec/schedulingGates").is_empty() {
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        step.actions.extend(told(pod, "SchedulingGated", message, now));
        return step;
    }
    let no_room =
        || obstacle(pod, node).or_else(|| insufficient(pod, node, pods)).map(|why| format!("1 {why}"));
    match unbound(pod, claims).or_else(no_room) {
        None => {
            step.push(Action::patch(Kind::POD, pod, json!({"spec": {"nodeName": object::name(node)}})));
            let message = format!(
                "Successfully assigned {}/{} to {}",
                object::namespace(pod),
                object::name(pod),
                object::name(node)
            );
            step.push(Action::event(pod, "Scheduled", message));
        }
        Some(why) => {
            let message = format!("0/1 nodes are available: {why}.");
            if let Some(write) = told(pod, "Unschedulable", &message, now) {
                step.push(write);
                step.push(Action::warning(pod, "FailedScheduling", message));
            }
        }
    }
    step
}

/// A claim that has no volume yet, or that nobody has made.
fn unbound<C: Borrow<Value>>(pod: &Value, claims: &[C]) -> Option<String> {
    let volumes = object::array(pod, "/spec/volumes").iter();
    let mut names = volumes.map(|volume| object::text(volume, "/persistentVolumeClaim/claimName"));
    names.find_map(|name| match claims.iter().map(Borrow::borrow).find(|claim| object::name(claim) == name) {
        _ if name.is_empty() => None,
        Some(claim) if object::text(claim, "/status/phase") == "Bound" => None,
        Some(_) => Some("pod has unbound immediate PersistentVolumeClaims".to_owned()),
        None => Some(format!("persistentvolumeclaim \"{name}\" not found")),
    })
}

fn obstacle(pod: &Value, node: &Value) -> Option<String> {
    if let Some(ready) = object::condition(node, "Ready").filter(|ready| ready["status"] != "True") {
        return Some(format!("node(s) can't run pods: {}", object::text(ready, "/message")));
    }
    let of_daemon = object::controller(pod).is_some_and(|owner| object::text(owner, "/kind") == "DaemonSet");
    if object::flag(node, "/spec/unschedulable") && !of_daemon {
        return Some("node(s) were unschedulable".to_owned());
    }
    let is_tainted = || is_tainted(&pod["spec"], node, KEEPS_AWAY);
    mismatch(&pod["spec"], node)
        .or_else(|| is_tainted().then(|| "node(s) had untolerated taint(s)".to_owned()))
}

/// Whether a template's pods may come to run there, room or not.
pub(super) fn may_run(spec: &Value, node: &Value) -> bool {
    mismatch(spec, node).is_none() && !is_tainted(spec, node, KEEPS_AWAY)
}

/// Whether those that run there may stay.
pub(super) fn may_stay(spec: &Value, node: &Value) -> bool {
    mismatch(spec, node).is_none() && !is_tainted(spec, node, &["NoExecute"])
}

fn mismatch(spec: &Value, node: &Value) -> Option<String> {
    let labels = object::map(node, "/metadata/labels");
    let wanted = object::map(spec, "/nodeSelector");
    if let Some(wanted) = wanted.filter(|wanted| !selector::contains(labels, wanted)) {
        let pairs: Vec<_> = wanted
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        return Some(format!("node(s) didn't match Pod's node affinity/selector ({})", pairs.join(",")));
    }
    let terms = object::array(
        spec,
        "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
    );
    if !terms.is_empty() && !terms.iter().any(|term| fits_term(term, node)) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    None
}

/// Whether the node has a taint of such an effect that the template's pods don't tolerate.
fn is_tainted(spec: &Value, node: &Value, effects: &[&str]) -> bool {
    let mut taints = object::array(node, "/spec/taints").iter();
    taints.any(|taint| effects.contains(&object::text(taint, "/effect")) && !is_tolerated(taint, spec))
}

fn is_tolerated(taint: &Value, spec: &Value) -> bool {
    let same =
        |toleration: &Value, field: &str| object::text(toleration, field) == object::text(taint, field);
    let open = |toleration: &Value, field: &str| object::text(toleration, field).is_empty();
    let fits = |toleration: &Value| {
        let exists = object::text(toleration, "/operator") == "Exists";
        (open(toleration, "/effect") || same(toleration, "/effect"))
            && (same(toleration, "/key") || (open(toleration, "/key") && exists))
            && (exists || same(toleration, "/value"))
    };
    object::array(spec, "/tolerations").iter().any(fits)
}

/// A term of a node affinity: by labels, and by the node's name.
fn fits_term(term: &Value, node: &Value) -> bool {
    let fields = object::array(term, "/matchFields");
    let named = |field: &Value| {
        let listed = object::array(field, "/values").iter().any(|name| name == object::name(node));
        listed == (object::text(field, "/operator") == "In")
    };
    let by_label = object::array(term, "/matchExpressions");
    fields.iter().all(named)
        && (by_label.is_empty() && !fields.is_empty() || selector::matches(Some(term), node))
}

/// What the node has too little of, with what its other pods have asked for.
fn insufficient<C: Borrow<Value>>(pod: &Value, node: &Value, pods: &[C]) -> Option<String> {
    let placed = || {
        let others = pods.iter().map(Borrow::borrow);
        others.filter(|other| {
            object::text(other, "/spec/nodeName") == object::name(node) && !replicaset::is_finished(other)
        })
    };
    let there =
        |resource: &str| Quantity::parse(object::text(node, &format!("/status/allocatable/{resource}")));
    if there("pods")
        .is_some_and(|most| !Quantity::of(u32::try_from(placed().count() + 1).unwrap_or(0)).fits(most))
    {
        return Some("Too many pods".to_owned());
    }
    ["cpu", "memory"].into_iter().find_map(|resource| {
        let asked = skep_apiserver::pod_asks(&pod["spec"], "requests", resource);
        if asked == Quantity::default() {
            return None;
        }
        let taken = placed().map(|other| skep_apiserver::pod_asks(&other["spec"], "requests", resource));
        let together = taken.fold(asked, Quantity::plus);
        (!together.fits(there(resource)?)).then(|| format!("Insufficient {resource}"))
    })
}

fn told(pod: &Value, reason: &str, message: &str, now: Timestamp) -> Option<Action> {
    let mut status =
        pod.get("status").cloned().filter(Value::is_object).unwrap_or_else(|| json!({"phase": "Pending"}));
    let old = object::condition(pod, "PodScheduled").filter(|old| old["status"] == "False");
    let since = old.map_or_else(|| object::stamp(now), |old| old["lastTransitionTime"].clone());
    let mut conditions: Vec<_> = object::array(pod, "/status/conditions")
        .iter()
        .filter(|one| one["type"] != "PodScheduled")
        .cloned()
        .collect();
    conditions.push(json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": message,
        "lastTransitionTime": since}));
    status["conditions"] = Value::from(conditions);
    Action::status(pod, status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[Value] = &[];

    fn node(ready: bool) -> Value {
        json!({"metadata": {"name": "n", "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
            "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" },
                "message": "no namespaces: operation not permitted"}]}})
    }

    fn pod(spec: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "uid": "u"}, "spec": spec})
    }

    fn message(step: &Step) -> String {
        step.actions
            .iter()
            .find_map(|action| match action {
                Action::Status(pod) => Some(object::text(pod, "/status/conditions/0/message").to_owned()),
                _ => None,
            })
            .unwrap_or_default()
    }

    #[test]
    fn binds_to_the_node() {
        let step = step(
            &pod(&json!({"nodeSelector": {"kubernetes.io/os": "linux"}})),
            &node(true),
            NONE,
            NONE,
            Timestamp::UNIX_EPOCH,
        );
        assert!(matches!(&step.actions[0], Action::Patch { patch, .. } if patch["spec"]["nodeName"] == "n"));
    }

    #[test]
    fn says_what_does_not_fit() {
        let arm = pod(&json!({"nodeSelector": {"kubernetes.io/arch": "arm64"}}));
        let why = message(&step(&arm, &node(true), NONE, NONE, Timestamp::UNIX_EPOCH));
        assert_eq!(
            why,
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector (kubernetes.io/arch=arm64)."
        );
        let why = message(&step(&pod(&json!({})), &node(false), NONE, NONE, Timestamp::UNIX_EPOCH));
        assert!(why.contains("no namespaces: operation not permitted"), "{why}");
    }

    #[test]
    fn a_pod_that_asks_for_more_than_there_is_is_not_placed() {
        let mut node = node(true);
        node["status"]["allocatable"] = json!({"cpu": "2", "memory": "4Gi"});
        let asking = |cpu: &str, memory: &str| {
            let container = json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
            message(&step(
                &pod(&json!({"containers": [container, container]})),
                &node,
                NONE,
                NONE,
                Timestamp::UNIX_EPOCH,
            ))
        };
        assert_eq!(asking("1", "2Gi"), "");
        assert_eq!(asking("1500m", "1Gi"), "0/1 nodes are available: 1 Insufficient cpu.");
        assert_eq!(asking("1", "2049Mi"), "0/1 nodes are available: 1 Insufficient memory.");
    }

    #[test]
    fn pods_share_what_the_node_has() {
        let mut node = node(true);
        node["status"]["allocatable"] = json!({"cpu": "2", "memory": "4Gi", "pods": "3"});
        let asking = |cpu: &str| json!({"containers": [{"resources": {"requests": {"cpu": cpu}}}]});
        let placed = |cpu: &str, phase: &str| {
            let mut pod = pod(&asking(cpu));
            pod["spec"]["nodeName"] = json!("n");
            pod["status"]["phase"] = json!(phase);
            pod
        };
        let there = [placed("1", "Running"), placed("1500m", "Succeeded")];
        let why = |cpu: &str, there: &[Value]| {
            message(&step(&pod(&asking(cpu)), &node, there, NONE, Timestamp::UNIX_EPOCH))
        };
        assert_eq!(why("1", &there), "");
        assert_eq!(why("1001m", &there), "0/1 nodes are available: 1 Insufficient cpu.");
        let full: Vec<Value> = (0..3).map(|_| placed("0", "Running")).collect();
        assert_eq!(why("0", &full), "0/1 nodes are available: 1 Too many pods.");
    }

    #[test]
    fn a_pod_waits_for_its_volume() {
        let with_claim =
            pod(&json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}));
        let seen =
            |claims: &[Value]| message(&step(&with_claim, &node(true), NONE, claims, Timestamp::UNIX_EPOCH));
        let claim = |phase: &str| json!({"metadata": {"name": "data"}, "status": {"phase": phase}});
        assert_eq!(seen(&[]), "0/1 nodes are available: persistentvolumeclaim \"data\" not found.");
        let waits = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
        assert_eq!(seen(&[claim("Pending")]), waits);
        assert_eq!(seen(&[claim("Bound")]), "");
    }

    #[test]
    fn a_taint_keeps_those_away_that_do_not_tolerate_it() {
        let mut node = node(true);
        node["spec"]["taints"] = json!([{"key": "for", "value": "db", "effect": "NoSchedule"}, {"key": "slow", "effect": "PreferNoSchedule"}]);
        let why = |tolerations: Value| {
            message(&step(
                &pod(&json!({"tolerations": tolerations})),
                &node,
                NONE,
                NONE,
                Timestamp::UNIX_EPOCH,
            ))
        };
        let kept_away = "0/1 nodes are available: 1 node(s) had untolerated taint(s).";
        assert_eq!(why(json!([])), kept_away);
        assert_eq!(why(json!([{"key": "for", "operator": "Equal", "value": "web"}])), kept_away);
        assert_eq!(why(json!([{"key": "for", "operator": "Exists", "effect": "NoExecute"}])), kept_away);
        assert_eq!(why(json!([{"key": "for", "value": "db", "effect": "NoSchedule"}])), "");
        assert_eq!(why(json!([{"operator": "Exists"}])), "");
    }

    #[test]
    fn required_affinity_is_heeded() {
        let affinity = |value: &str| {
            pod(&json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/arch", "operator": "In", "values": [value]}]}]}}}}))
        };
        assert!(
            message(&step(&affinity("amd64"), &node(true), NONE, NONE, Timestamp::UNIX_EPOCH)).is_empty()
        );
        assert!(
            !message(&step(&affinity("arm64"), &node(true), NONE, NONE, Timestamp::UNIX_EPOCH)).is_empty()
        );
    }

    #[test]
    fn bound_pods_and_those_of_another_scheduler_are_left_alone() {
        assert_eq!(
            step(&pod(&json!({"schedulerName": "far"})), &node(true), NONE, NONE, Timestamp::UNIX_EPOCH),
            Step::default()
        );
        assert_eq!(
            step(&pod(&json!({"nodeName": "n"})), &node(true), NONE, NONE, Timestamp::UNIX_EPOCH),
            Step::default()
        );
    }
}
