//! Pods.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, created, name, number, or, since, text, wide};
use crate::meta;

pub(crate) static PODS: Columns = Columns {
    head: &[
        text("Name"),
        text("Ready"),
        text("Status"),
        text("Restarts"),
        text("Age"),
        wide("IP"),
        wide("Node"),
        wide("Nominated Node"),
        wide("Readiness Gates"),
    ],
    cells: |pod, now| {
        let statuses = meta::list(pod, "/status/containerStatuses");
        let ready = statuses.iter().filter(|status| status["ready"] == true).count();
        let all = meta::list(pod, "/spec/containers").len();
        vec![
            name(pod),
            Value::from(format!("{ready}/{all}")),
            Value::from(status(pod)),
            Value::from(restarts(statuses, now)),
            created(pod, now),
            Value::from(or(pod, "/status/podIP", "<none>")),
            Value::from(or(pod, "/spec/nodeName", "<none>")),
            Value::from(or(pod, "/status/nominatedNodeName", "<none>")),
            Value::from("<none>"),
        ]
    },
};

/// One word for how a pod is: the first init container that holds it up, else the first container in trouble.
fn status(pod: &Value) -> String {
    let mut word = or(pod, "/status/reason", or(pod, "/status/phase", "Unknown")).to_owned();
    let inits = meta::list(pod, "/status/initContainerStatuses");
    let held_up = inits.iter().enumerate().find(|(_, status)| {
        number(status, "/state/terminated/exitCode") != 0 || status.pointer("/state/terminated").is_none()
    });
    let starting = held_up.filter(|(_, status)| !is_running_sidecar(status));
    if let Some((at, status)) = starting {
        let all = meta::list(pod, "/spec/initContainers").len();
        word = match troubled(status) {
            Some(reason) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{at}/{all}"),
        };
    } else {
        let mut any_running = false;
        for status in meta::list(pod, "/status/containerStatuses").iter().rev() {
            if let Some(reason) = troubled(status) {
                word = reason;
            } else if status["ready"] == true && status.pointer("/state/running").is_some() {
                any_running = true;
            }
        }
        if word == "Completed" && any_running {
            word = "Running".to_owned();
        }
    }
    if meta::is_deleting(pod) && !matches!(meta::text(pod, "/status/phase"), Some("Succeeded" | "Failed")) {
        word = "Terminating".to_owned();
    }
    word
}

fn is_running_sidecar(status: &Value) -> bool {
    status["started"] == true && status.pointer("/state/running").is_some()
}

/// Why a container does not run, if it does not.
fn troubled(status: &Value) -> Option<String> {
    if let Some(reason) = meta::text(status, "/state/waiting/reason").filter(|reason| !reason.is_empty()) {
        return Some(reason.to_owned());
    }
    let ended = status.pointer("/state/terminated")?;
    match meta::text(ended, "/reason").filter(|reason| !reason.is_empty()) {
        Some(reason) => Some(reason.to_owned()),
        None => match number(ended, "/signal") {
            0 => Some(format!("ExitCode:{}", number(ended, "/exitCode"))),
            signal => Some(format!("Signal:{signal}")),
        },
    }
}

/// `3 (5m ago)`.
fn restarts(statuses: &[Value], now: Timestamp) -> String {
    let count: i64 = statuses.iter().map(|status| number(status, "/restartCount")).sum();
    let last = statuses.iter().filter_map(|s| meta::text(s, "/lastState/terminated/finishedAt")).max();
    match last {
        Some(last) if count > 0 => format!("{count} ({} ago)", since(Some(last), now)),
        _ => count.to_string(),
    }
}
