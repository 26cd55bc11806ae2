//! What the cluster has complained of: its Events, as far as they tell why something does not come about.

use serde_json::Value;

use crate::workload::text;

/// A complaint of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeFailure {
    /// `Readiness`, `Liveness`, `Startup`.
    pub(crate) probe: String,
    /// `HTTP probe failed with statuscode: 503`.
    pub(crate) said: String,
}

/// The Events of one object, the newest last.
pub(crate) fn of<'e>(events: &[&'e Value], kind: &str, name: &str) -> Vec<&'e Value> {
    let about =
        |event: &&&Value| event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name;
    let mut found: Vec<&Value> = events.iter().filter(about).copied().collect();
    found.sort_by_key(|event| when(event));
    found
}

fn when(event: &Value) -> String {
    let times = ["lastTimestamp", "eventTime", "firstTimestamp"].iter().map(|key| text(event, key));
    times.into_iter().find(|time| !time.is_empty()).unwrap_or_default()
}

/// The message of the newest Event with one of these reasons.
pub(crate) fn newest(events: &[&Value], reasons: &[&str]) -> Option<String> {
    let found = events.iter().rev().find(|event| reasons.iter().any(|reason| event["reason"] == *reason));
    found.map(|event| text(event, "message"))
}

/// What a container's probe said last, of the newest Event that one made. `probe`: only that one.
pub(crate) fn probe_failure(
    events: &[&Value],
    probe: Option<&str>,
    container: Option<&str>,
) -> Option<ProbeFailure> {
    events.iter().rev().filter(|event| event["reason"] == "Unhealthy").find_map(|event| {
        let field = text(&event["involvedObject"], "fieldPath");
        if container
            .is_some_and(|container| !field.is_empty() && !field.ends_with(&format!("{{{container}}}")))
        {
            return None;
        }
        let message = text(event, "message");
        let (name, said) = message.split_once(" probe ")?;
        if probe.is_some_and(|wanted| wanted != name) {
            return None;
        }
        let said = said.trim_start_matches("failed: ").trim_start_matches("errored: ").trim();
        Some(ProbeFailure { probe: name.to_owned(), said: one_line(said) })
    })
}

/// Whether a container was ended by its own probe, as the kubelet tells.
pub(crate) fn was_killed_by_probe(events: &[&Value]) -> Option<&'static str> {
    let killed = events.iter().rev().find(|event| {
        event["reason"] == "Killing" && text(event, "message").contains("probe, will be restarted")
    })?;
    let message = text(killed, "message");
    Some(if message.contains("startup probe") { "Startup" } else { "Liveness" })
}

/// An exec probe may print a page.
fn one_line(said: &str) -> String {
    let line = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
