//! The truth about pods after hive was killed: their processes died with it.
//!
//! Before anything is served, no pod may claim to be ready. Pods that restart are brought back by the node; those that
//! must not run twice (`restartPolicy: Never`) and had begun have failed, as after a reboot of a Kubernetes node.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::action::Action;
use crate::controllers::replicaset::is_finished;
use crate::object;

/// The write that a bound pod needs when hive starts again, if any.
pub(crate) fn recovered(pod: &Value, now: Timestamp) -> Option<Action> {
    if object::text(pod, "/spec/nodeName").is_empty() || is_finished(pod) {
        return None;
    }
    let mut status = pod.get("status").cloned().filter(Value::is_object)?;
    let had_begun = object::array(&status, "/containerStatuses")
        .iter()
        .any(|one| one.pointer("/state/running").is_some());
    let lost = object::text(pod, "/spec/restartPolicy") == "Never" && had_begun;
    if lost {
        status["phase"] = json!("Failed");
        status["reason"] = json!("NodeRestarted");
        status["message"] = json!("hive was stopped while the pod ran, and its restartPolicy is Never");
    }
    for list in ["containerStatuses", "initContainerStatuses"] {
        for container in status.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container["ready"] = json!(false);
            container["started"] = json!(false);
            if lost {
                end(container, now);
            }
        }
    }
    if let Some(fields) = status.as_object_mut() {
        fields.remove("podIP");
        fields.remove("podIPs");
    }
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let follows = ["Ready", "ContainersReady"].contains(&object::text(condition, "/type"));
        if follows && condition["status"] == "True" {
            condition["status"] = json!("False");
            condition["reason"] = json!("NodeRestarted");
            condition["message"] = json!("hive was stopped while the pod ran");
            condition["lastTransitionTime"] = object::stamp(now);
        }
    }
    Action::status(pod, status)
}

/// Exit code and reason are the kubelet's for a container that it can't find any more.
fn end(container: &mut Value, now: Timestamp) {
    let Some(running) = container.pointer("/state/running").cloned() else { return };
    container["state"] = json!({"terminated": {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "the container could not be located when hive started again",
        "startedAt": running["startedAt"],
        "finishedAt": object::stamp(now),
    }});
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(policy: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n", "restartPolicy": policy},
            "status": {"phase": "Running", "podIP": "10.0.0.1",
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"ready": true, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}})
    }

    fn status(pod: &Value) -> Value {
        match recovered(pod, Timestamp::UNIX_EPOCH) {
            Some(Action::Status(pod)) => pod["status"].clone(),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn nobody_claims_to_be_ready_or_reachable() {
        let status = status(&pod("Always"));
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["conditions"][0]["status"], "False");
        assert_eq!(status["conditions"][1]["status"], "True");
        assert_eq!(status["containerStatuses"][0]["ready"], false);
        assert!(status["podIP"].is_null());
    }

    #[test]
    fn what_must_not_run_twice_has_failed() {
        let status = status(&pod("Never"));
        assert_eq!(status["phase"], "Failed");
        assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
    }

    #[test]
    fn unbound_and_finished_pods_are_left_alone() {
        let mut unbound = pod("Always");
        unbound["spec"]["nodeName"] = json!("");
        assert_eq!(recovered(&unbound, Timestamp::UNIX_EPOCH), None);
        let mut finished = pod("Never");
        finished["status"]["phase"] = json!("Succeeded");
        assert_eq!(recovered(&finished, Timestamp::UNIX_EPOCH), None);
    }
}
