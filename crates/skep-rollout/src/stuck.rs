//! Why nothing moves: read off the pods that should have come, their owners, and what the cluster complains of.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Cause, Diagnosis, Events, LogWanted, Observed, events, pod,
    workload::{condition, is_true, text},
};

/// What keeps a workload where it is, if it can be told. `pods` are the new ones.
pub(crate) fn diagnosis(
    observed: Observed<'_>,
    newest_set: Option<&Value>,
    pods: &[&Value],
    old: &[&Value],
    now: Timestamp,
    seconds: i64,
) -> Option<Diagnosis> {
    let workload = observed.workload?;
    if workload["spec"]["paused"] == true {
        return Some(Diagnosis::of_workload(Cause::Paused));
    }
    if let Some(cause) = refused(workload, newest_set, &observed.around.events) {
        return Some(Diagnosis::of_workload(cause));
    }
    let waiting = pods.iter().filter(|pod| !pod::is_ready(pod) && !pod::is_leaving(pod));
    if let Some(diagnosis) = waiting.filter_map(|pod| of_pod(pod, &observed.around.events, seconds)).next() {
        return Some(diagnosis);
    }
    // A StatefulSet's pod stands in its own successor's place, whatever its template.
    let ending = old.iter().chain(pods).find(|pod| pod::is_leaving(pod))?;
    Some(Diagnosis::of_workload(terminating(ending, now)?))
}

/// The controller can't make pods: a quota, a webhook, a policy.
pub(crate) fn refused(workload: &Value, newest_set: Option<&Value>, events: &Events<'_>) -> Option<Cause> {
    let failure = |object: &Value| {
        condition(object, "ReplicaFailure").filter(|found| is_true(found)).map(|found| text(found, "message"))
    };
    let by_condition = newest_set.and_then(failure).or_else(|| failure(workload));
    let message = by_condition.or_else(|| {
        // The controllers of StatefulSets, DaemonSets and Jobs tell it by an Event alone.
        let about = events.of(workload["kind"].as_str()?, workload["metadata"]["name"].as_str()?);
        let newest = about.last()?;
        (newest["reason"] == "FailedCreate").then(|| text(newest, "message"))
    })?;
    Some(if message.contains("exceeded quota") || message.contains("failed quota") {
        Cause::QuotaExceeded { message }
    } else {
        Cause::PodsRefused { message }
    })
}

fn of_pod(pod: &Value, events: &Events<'_>, seconds: i64) -> Option<Diagnosis> {
    let name = text(&pod["metadata"], "name");
    let about = events.of("Pod", &name);
    let diagnosed = |container: Option<String>, cause, log| {
        Some(Diagnosis { pod: Some(name.clone()), container, cause, log })
    };
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|condition| condition["status"] == "False")
    {
        let message = text(scheduled, "message");
        return match claim_of(pod, &message) {
            Some(claim) => {
                let said = events.of("PersistentVolumeClaim", &claim);
                let message = said.last().map_or(message, |event| text(event, "message"));
                diagnosed(None, Cause::VolumePending { claim, message }, None)
            }
            None => diagnosed(None, Cause::Unschedulable { message, nodes: Vec::new() }, None),
        };
    }
    if let Some(message) = events::newest(about, &["NodeNotReady"]) {
        let node = text(&pod["spec"], "nodeName");
        return diagnosed(None, Cause::NodeTrouble { node, message }, None);
    }
    let started = |status: &&Value| status["state"]["running"].is_object();
    let statuses = || pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    if !statuses().any(|status| started(&status))
        && let Some(message) = events::newest(about, &["FailedMount", "FailedAttachVolume"])
    {
        return diagnosed(None, Cause::MountFailed { message }, None);
    }
    let unready = statuses().filter(started).find(|status| status["ready"] != true)?;
    let container = text(unready, "name");
    let failure = events::probe_failure(about, None, Some(&container));
    let said = failure.map(|failure| failure.said).unwrap_or_default();
    let asks = asks(pod, &container);
    diagnosed(Some(container), Cause::NeverReady { said, asks, seconds }, Some(LogWanted::Current))
}

/// The claim that an unscheduled pod waits for.
fn claim_of(pod: &Value, message: &str) -> Option<String> {
    let is_volume = message.to_lowercase().contains("persistentvolumeclaim") || message.contains("volume");
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let mut claims = volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    claims.next().filter(|_| is_volume).map(str::to_owned)
}

/// `/ready on port 8000`, of a container's readiness probe.
pub(crate) fn asks(pod: &Value, container: &str) -> String {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let found = containers.into_iter().find(|one| one["name"] == container);
    found.and_then(readiness_asks).unwrap_or_else(|| "there is none".to_owned())
}

/// What a container's readiness probe asks, if it has one: `/ready on port 8000`.
pub fn readiness_asks(container: &Value) -> Option<String> {
    let probe = container.get("readinessProbe")?;
    let port = |of: &Value| of["port"].as_str().map_or_else(|| of["port"].to_string(), str::to_owned);
    Some(if let Some(get) = probe.get("httpGet") {
        format!("{} on port {}", get["path"].as_str().unwrap_or("/"), port(get))
    } else if let Some(socket) = probe.get("tcpSocket") {
        format!("port {}", port(socket))
    } else if let Some(call) = probe.get("grpc") {
        format!("gRPC on port {}", port(call))
    } else {
        let words = probe["exec"]["command"].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(" ")
    })
}

/// A pod that is still there well after its grace period, or that a finalizer holds.
fn terminating(pod: &Value, now: Timestamp) -> Option<Cause> {
    let metadata = &pod["metadata"];
    // The API sets the moment at which it should be gone.
    let due: Timestamp = metadata["deletionTimestamp"].as_str()?.parse().ok()?;
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(30);
    let finalizers = metadata["finalizers"].as_array().into_iter().flatten();
    let finalizers: Vec<String> = finalizers.filter_map(|one| one.as_str().map(str::to_owned)).collect();
    let seconds = now.duration_since(due).as_secs() + grace;
    let is_late = now > due || !finalizers.is_empty();
    is_late.then(|| Cause::StuckTerminating { pod: text(metadata, "name"), finalizers, seconds })
}
