//! Writing what the node says about a pod, without losing what others wrote into the same status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Value, json};
use skep_apiserver::{Resources, Status};

use crate::kind::Kind;
use crate::object;

/// Conditions that follow from the containers: the node's word replaces whatever stood there.
const NODES_OWN: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled"];

/// Fields that the node may leave out and that stay as they were.
const KEPT: [&str; 4] = ["startTime", "qosClass", "nominatedNodeName", "resourceClaimStatuses"];

/// Writes `status` into the pod, if the pod is still the one with this UID.
///
/// # Errors
/// What the API refuses, conflicts aside: those are met by reading again.
pub(super) async fn write(
    resources: &Resources,
    namespace: &str,
    name: &str,
    uid: &str,
    status: &PodStatus,
) -> Result<(), Status> {
    let told = serde_json::to_value(status)
        .map_err(|error| Status::internal(format!("a pod's status can't be written as JSON: {error}")))?;
    loop {
        let Some(pod) = resources.get(Kind::POD, Some(namespace), name) else { return Ok(()) };
        if object::uid(&pod) != uid {
            return Ok(());
        }
        let merged = merged(&pod, &told, skep_ambient::now());
        if pod.get("status") == Some(&merged) {
            return Ok(());
        }
        let mut pod = Value::clone(&pod);
        pod["status"] = merged;
        match resources.update_status(pod, "kubelet").await {
            Err(conflict) if conflict.is_conflict() => {}
            Err(gone) if gone.is_not_found() => return Ok(()),
            other => return other.map(drop),
        }
    }
}

/// The pod's next status: the node's word, plus the conditions and fields that are not the node's.
fn merged(pod: &Value, told: &Value, now: Timestamp) -> Value {
    let mut next = object::normal(told);
    let old = pod.get("status").cloned().unwrap_or_default();
    for field in KEPT {
        if next.get(field).is_none()
            && let Some(value) = old.get(field)
        {
            next[field] = value.clone();
        }
    }
    let mut conditions = object::array(&next, "/conditions").to_vec();
    for kept in object::array(&old, "/conditions") {
        let kind = object::text(kept, "/type");
        if !NODES_OWN.contains(&kind) && object::condition_in(&conditions, kind).is_none() {
            conditions.push(kept.clone());
        }
    }
    if object::condition_in(&conditions, "PodScheduled").is_none() {
        let old = object::condition(pod, "PodScheduled").filter(|old| old["status"] == "True");
        conditions.push(old.cloned().unwrap_or_else(
            || json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": object::stamp(now)}),
        ));
    }
    heed_readiness_gates(pod, &mut conditions, now);
    next["conditions"] = Value::from(conditions);
    next
}

/// A pod is ready when its containers are and every readiness gate says True.
fn heed_readiness_gates(pod: &Value, conditions: &mut [Value], now: Timestamp) {
    let closed: Vec<_> = object::array(pod, "/spec/readinessGates")
        .iter()
        .map(|gate| object::text(gate, "/conditionType"))
        .filter(|kind| object::condition_in(conditions, kind).is_none_or(|found| found["status"] != "True"))
        .collect();
    let Some(ready) = conditions.iter_mut().find(|one| one["type"] == "Ready" && one["status"] == "True")
    else {
        return;
    };
    if closed.is_empty() {
        return;
    }
    let before = object::condition(pod, "Ready").filter(|old| old["status"] == "False");
    *ready = json!({
        "type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
        "message": format!("corresponding condition of pod readiness gate {} is not true", closed.join(", ")),
        "lastTransitionTime": before.map_or_else(|| object::stamp(now), |old| old["lastTransitionTime"].clone()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn the_nodes_word_replaces_its_own_and_keeps_others() {
        let pod = json!({"status": {"phase": "Pending", "qosClass": "Burstable", "conditions": [
            {"type": "Ready", "status": "False"}, {"type": "example.com/gate", "status": "True"},
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let told = json!({"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]});
        let next = merged(&pod, &told, NOW);
        assert_eq!(next["phase"], "Running");
        assert_eq!(next["qosClass"], "Burstable");
        let is = |kind| {
            object::condition_in(object::array(&next, "/conditions"), kind).cloned().unwrap_or_default()
        };
        assert_eq!(is("Ready")["status"], "True");
        assert_eq!(is("example.com/gate")["status"], "True");
        assert_eq!(is("PodScheduled")["lastTransitionTime"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_closed_readiness_gate_keeps_the_pod_unready() {
        let mut pod =
            json!({"spec": {"readinessGates": [{"conditionType": "example.com/gate"}]}, "status": {}});
        let told = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let ready = |pod: &Value| merged(pod, &told, NOW)["conditions"][0]["status"].clone();
        assert_eq!(ready(&pod), "False");
        pod["status"]["conditions"] = json!([{"type": "example.com/gate", "status": "True"}]);
        assert_eq!(ready(&pod), "True");
    }
}
