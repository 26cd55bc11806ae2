//! The scheduler of a cluster with one node: a pod goes there, or is told why it can't.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::{object, selector};

/// Looks at one pod. `node`: the Node object; it tells by `spec.unschedulable` and its Ready condition whether pods can run.
pub(crate) fn step(pod: &Value, node: &Value, now: Timestamp) -> Step {
    let mut step = Step::default();
    if !object::text(pod, "/spec/nodeName").is_empty() || object::is_deleting(pod) {
        return step;
    }
    if !object::array(pod, "/spec/schedulingGates").is_empty() {
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        step.actions.extend(told(pod, "SchedulingGated", message, now));
        return step;
    }
    match obstacle(pod, node) {
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
            let message = format!("0/1 nodes are available: 1 {why}.");
            if let Some(write) = told(pod, "Unschedulable", &message, now) {
                step.push(write);
                step.push(Action::warning(pod, "FailedScheduling", message));
            }
        }
    }
    step
}

fn obstacle(pod: &Value, node: &Value) -> Option<String> {
    if let Some(ready) = object::condition(node, "Ready").filter(|ready| ready["status"] != "True") {
        return Some(format!("node(s) can't run pods: {}", object::text(ready, "/message")));
    }
    if object::flag(node, "/spec/unschedulable") {
        return Some("node(s) were unschedulable".to_owned());
    }
    let labels = object::map(node, "/metadata/labels");
    let wanted = object::map(pod, "/spec/nodeSelector");
    if let Some(wanted) = wanted.filter(|wanted| !selector::contains(labels, wanted)) {
        let pairs: Vec<_> = wanted
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        return Some(format!("node(s) didn't match Pod's node affinity/selector ({})", pairs.join(",")));
    }
    let terms = object::array(
        pod,
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
    );
    if !terms.is_empty() && !terms.iter().any(|term| selector::matches(Some(term), node)) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    None
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
            Timestamp::UNIX_EPOCH,
        );
        assert!(matches!(&step.actions[0], Action::Patch { patch, .. } if patch["spec"]["nodeName"] == "n"));
    }

    #[test]
    fn says_what_does_not_fit() {
        let arm = pod(&json!({"nodeSelector": {"kubernetes.io/arch": "arm64"}}));
        let why = message(&step(&arm, &node(true), Timestamp::UNIX_EPOCH));
        assert_eq!(
            why,
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector (kubernetes.io/arch=arm64)."
        );
        let why = message(&step(&pod(&json!({})), &node(false), Timestamp::UNIX_EPOCH));
        assert!(why.contains("no namespaces: operation not permitted"), "{why}");
    }

    #[test]
    fn required_affinity_is_heeded() {
        let affinity = |value: &str| {
            pod(&json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/arch", "operator": "In", "values": [value]}]}]}}}}))
        };
        assert!(message(&step(&affinity("amd64"), &node(true), Timestamp::UNIX_EPOCH)).is_empty());
        assert!(!message(&step(&affinity("arm64"), &node(true), Timestamp::UNIX_EPOCH)).is_empty());
    }

    #[test]
    fn bound_and_leaving_pods_are_left_alone() {
        assert_eq!(
            step(&pod(&json!({"nodeName": "n"})), &node(true), Timestamp::UNIX_EPOCH),
            Step::default()
        );
    }
}
