//! What keeps one pod from being ready: read from its container statuses, in the words that kubelets use.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Cause, Diagnosis, Events, LogWanted, events,
    workload::{condition, is_true, text},
};

/// Something wrong with a container at one moment. Whether it is final is for the caller's counters to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Symptom {
    /// Proven final: no waiting will heal it.
    Final(Diagnosis),
    /// A pull failed for a reason that may pass.
    PullFailed {
        /// Container.
        container: String,
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
        /// Whether this is the failure itself, and not the pause after it.
        fresh: bool,
    },
    /// The container ended and will be, or was, started again.
    Crashed {
        /// Container.
        container: String,
        /// Times it has ended.
        crashes: u32,
        /// When the run that ended last began, by the cluster's clock, to the second.
        began: Option<Timestamp>,
        /// What it exited with last.
        exit_code: i64,
        /// The kubelet's word for it.
        reason: String,
        /// Whose log tells: the container that ended, until it is started again.
        log: LogWanted,
    },
}

/// Reads what is wrong with a pod. `events` are those of its namespace.
pub fn symptoms(pod: &Value, events: &Events<'_>) -> Vec<Symptom> {
    let name = text(&pod["metadata"], "name");
    if let Some(diagnosis) = missing_volume(pod, &name, events) {
        return vec![Symptom::Final(diagnosis)];
    }
    let statuses = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|list| pod["status"].get(list)?.as_array())
        .flatten();
    statuses.filter_map(|status| symptom(&name, status)).collect()
}

/// A volume of a ConfigMap or Secret that isn't there: the kubelet goes on asking for it, and tells by Events alone.
fn missing_volume(pod: &Value, name: &str, events: &Events<'_>) -> Option<Diagnosis> {
    let is_starting = pod["status"]["phase"] == "Pending";
    let about = is_starting.then(|| events.of("Pod", name))?;
    let message = events::newest(about, &["FailedMount"])?;
    let is_config = message.contains("configmap")
        || message.contains("secret")
        || message.contains("references non-existent");
    let is_missing = message.contains("not found") || message.contains("non-existent");
    (is_config && is_missing).then(|| Diagnosis {
        pod: Some(name.to_owned()),
        container: None,
        cause: Cause::ConfigMissing { message },
        log: None,
    })
}

fn symptom(pod: &str, status: &Value) -> Option<Symptom> {
    let container = text(status, "name");
    let image = text(status, "image");
    let diagnosed = |cause| {
        Symptom::Final(Diagnosis {
            pod: Some(pod.to_owned()),
            container: Some(container.clone()),
            cause,
            log: None,
        })
    };
    let waiting = &status["state"]["waiting"];
    let reason = text(waiting, "reason");
    let message = text(waiting, "message");
    match reason.as_str() {
        "ErrImagePull" | "ImagePullBackOff" => {
            let lower = message.to_lowercase();
            if [
                "no match for platform",
                "no matching manifest for",
                "image operating system",
                "does not match the specified platform",
            ]
            .iter()
            .any(|sign| lower.contains(sign))
            {
                return Some(diagnosed(Cause::NoPlatform { image, message }));
            }
            if ["manifest unknown", "not found", "does not exist", "name unknown"]
                .iter()
                .any(|sign| lower.contains(sign))
            {
                return Some(diagnosed(Cause::ImageMissing { image, message }));
            }
            if ["unauthorized", "denied", "forbidden", "authentication required", "authorization failed"]
                .iter()
                .any(|sign| lower.contains(sign))
            {
                return Some(diagnosed(Cause::ImageDenied { image, message }));
            }
            return Some(Symptom::PullFailed { container, image, message, fresh: reason == "ErrImagePull" });
        }
        "InvalidImageName" | "ErrImageNeverPull" => {
            return Some(diagnosed(Cause::ImageMissing { image, message }));
        }
        "CreateContainerConfigError" => return Some(diagnosed(Cause::ConfigMissing { message })),
        "CreateContainerError" | "RunContainerError" => {
            return Some(diagnosed(start_failure(&image, message)));
        }
        _ => {}
    }
    let restarts = restarts(status);
    let now = &status["state"]["terminated"];
    let last = &status["lastState"]["terminated"];
    let (ended, crashes, log) = match (now.is_object(), last.is_object()) {
        (true, _) => (now, restarts + 1, LogWanted::Current),
        // Between two starts the last one has ended too.
        (false, true) if waiting.is_object() => (last, restarts + 1, LogWanted::Previous),
        (false, true) => (last, restarts.max(1), LogWanted::Previous),
        (false, false) => return None,
    };
    let exit_code = ended["exitCode"].as_i64().unwrap_or(0);
    let why = text(ended, "reason");
    let detail = text(ended, "message");
    if now.is_object() && exit_code == 0 && why == "Completed" && restarts == 0 {
        return None;
    }
    if matches!(why.as_str(), "StartError" | "ContainerCannotRun") {
        return Some(diagnosed(start_failure(&image, detail)));
    }
    if detail.contains("exec format error") {
        return Some(diagnosed(Cause::ExecFormat { image }));
    }
    let began = text(ended, "startedAt").parse().ok();
    Some(Symptom::Crashed { container, crashes, began, exit_code, reason: why, log })
}

fn start_failure(image: &str, message: String) -> Cause {
    if message.contains("exec format error") {
        Cause::ExecFormat { image: image.to_owned() }
    } else {
        Cause::CannotStart { message }
    }
}

/// How often each container has been started, by its name.
pub(crate) fn starts(pod: &Value) -> Vec<(String, u32)> {
    let lists = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|list| pod["status"].get(list)?.as_array());
    lists.flatten().map(|status| (text(status, "name"), restarts(status) + 1)).collect()
}

fn restarts(status: &Value) -> u32 {
    status["restartCount"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// Whether the pod's `Ready` condition is true.
pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(is_true)
}

/// Whether the pod is being deleted.
pub fn is_leaving(pod: &Value) -> bool {
    pod["metadata"].get("deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// What a pod that is not ready waits for, in a few words. `events` are those of its namespace.
pub fn waits_for(pod: &Value, events: &Events<'_>) -> String {
    let name = text(&pod["metadata"], "name");
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|condition| condition["status"] == "False")
    {
        return format!("{name}: not scheduled: {}", text(scheduled, "message"));
    }
    for list in ["initContainerStatuses", "containerStatuses"] {
        for status in pod["status"][list].as_array().into_iter().flatten() {
            let waiting = text(&status["state"]["waiting"], "reason");
            if !waiting.is_empty() && waiting != "PodInitializing" {
                return format!("{name}: {}", words(&waiting));
            }
            let started = status["started"].as_bool().unwrap_or(false);
            if status["state"]["running"].is_object() && !status["ready"].as_bool().unwrap_or(false) {
                let probe = match (list, started) {
                    ("initContainerStatuses", _) => "its init container",
                    (_, false) => "its startup probe",
                    (_, true) => "its readiness probe",
                };
                let about = events.of("Pod", &name);
                return match events::probe_failure(about, None, Some(&text(status, "name"))) {
                    Some(failure) if list == "containerStatuses" => {
                        format!("{name}: {probe}: {}", failure.said)
                    }
                    _ => format!("{name}: {probe}"),
                };
            }
        }
    }
    format!("{name}: starting")
}

fn words(reason: &str) -> &str {
    match reason {
        "ContainerCreating" => "its container is being created",
        "CrashLoopBackOff" => "restarting after a crash",
        "ErrImagePull" | "ImagePullBackOff" => "pulling its image again",
        other => other,
    }
}
