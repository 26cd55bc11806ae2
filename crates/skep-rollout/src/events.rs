//! What the cluster has complained of: its Events, as far as they tell why something does not come about.

use std::collections::HashMap;

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

/// A namespace's Events, by the kind and name of what they are about.
#[derive(Debug, Clone, Default)]
pub struct Events<'a>(HashMap<&'a str, HashMap<&'a str, Vec<&'a Value>>>);

impl<'a> Events<'a> {
    /// Sorts them.
    pub fn new(events: &[&'a Value]) -> Self {
        let mut by_object: HashMap<&str, HashMap<&str, Vec<&Value>>> = HashMap::new();
        for event in events {
            let object = &event["involvedObject"];
            if let (Some(kind), Some(name)) = (object["kind"].as_str(), object["name"].as_str()) {
                by_object.entry(kind).or_default().entry(name).or_default().push(event);
            }
        }
        by_object
            .values_mut()
            .flat_map(HashMap::values_mut)
            .for_each(|about| about.sort_by_key(|&event| when(event)));
        Self(by_object)
    }

    /// The Events of one object, the newest last.
    pub(crate) fn of(&self, kind: &str, name: &str) -> &[&'a Value] {
        self.0.get(kind).and_then(|named| named.get(name)).map_or(&[], Vec::as_slice)
    }
}

fn when(event: &Value) -> &str {
    let mut times =
        ["lastTimestamp", "eventTime", "firstTimestamp"].iter().filter_map(|key| event[*key].as_str());
    times.find(|time| !time.is_empty()).unwrap_or_default()
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
    events.iter().rev().find_map(|event| failure_of(event, probe, container))
}

/// What a container's probe has said most often, of what the program itself answered if it has: now and then a probe asks one that just
/// starts or ends, and that is not what ends it.
pub(crate) fn usual_probe_failure(
    events: &[&Value],
    probe: &str,
    container: Option<&str>,
) -> Option<ProbeFailure> {
    let times = |event: &Value| event["count"].as_u64().or(event["series"]["count"].as_u64()).unwrap_or(1);
    let failures =
        events.iter().filter_map(|event| Some((times(event), failure_of(event, Some(probe), container)?)));
    let is_answer = |failure: &ProbeFailure| !failure.said.contains("connection refused");
    failures.max_by_key(|(times, failure)| (is_answer(failure), *times)).map(|(_, failure)| failure)
}

fn failure_of(event: &Value, probe: Option<&str>, container: Option<&str>) -> Option<ProbeFailure> {
    let field = text(&event["involvedObject"], "fieldPath");
    let is_other = |container| !field.is_empty() && !field.ends_with(&format!("{{{container}}}"));
    if event["reason"] != "Unhealthy" || container.is_some_and(is_other) {
        return None;
    }
    let message = text(event, "message");
    let (name, said) = message.split_once(" probe ")?;
    if probe.is_some_and(|wanted| wanted != name) {
        return None;
    }
    let said = said.trim_start_matches("failed: ").trim_start_matches("errored: ").trim();
    Some(ProbeFailure { probe: name.to_owned(), said: one_line(said) })
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
