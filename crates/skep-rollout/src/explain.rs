//! From a verdict's cause to the true one, with what must be asked for it: the log of the container, the registry, and what this
//! release has done before.

use serde_json::Value;

use crate::{
    Cause, Diagnosis, Events, Nodes, events,
    log_line::{self, Said},
    nodes::Say,
    workload::text,
};

/// What was asked after a verdict.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The pod of the diagnosis.
    pub pod: Option<&'a Value>,
    /// The Events of the namespace.
    pub events: Option<&'a Events<'a>>,
    /// The last lines of the log that the diagnosis names.
    pub log: &'a [String],
    /// What the registry says of the image to whoever deploys.
    pub registry: Option<RegistrySays>,
    /// The cluster's nodes, as far as whoever deploys may see them.
    pub nodes: Option<Nodes<'a>>,
    /// Whether this release has changed the schema.
    pub migrated: bool,
}

/// What a registry says of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrySays {
    /// It hands it out.
    Here,
    /// It has no such image.
    Missing,
    /// It refuses this login too.
    Refused,
}

/// The true cause, as far as the evidence shows it.
#[must_use]
pub fn explain(mut diagnosis: Diagnosis, evidence: Evidence<'_>) -> Diagnosis {
    let container = diagnosis.container.clone();
    diagnosis.cause = match diagnosis.cause {
        Cause::ImageDenied { image, message } => match evidence.registry {
            Some(RegistrySays::Here) => {
                Cause::PullSecretRefused { image, secrets: pull_secrets(evidence.pod) }
            }
            // Registries that tell nobody what they don't have refuse instead.
            Some(RegistrySays::Missing) => Cause::ImageMissing { image, message },
            Some(RegistrySays::Refused) | None => Cause::ImageDenied { image, message },
        },
        Cause::CrashLoop { crashes, exit_code, reason, .. } => {
            crash(container.as_deref(), crashes, exit_code, reason, evidence)
        }
        Cause::Unschedulable { message, .. } => match evidence.pod.zip(evidence.nodes) {
            None => Cause::Unschedulable { message, nodes: Vec::new() },
            Some((pod, nodes)) => match nodes.say(pod) {
                Say::Trouble { node, message } => Cause::NodeTrouble { node, message },
                Say::Reasons(nodes) => Cause::Unschedulable { message, nodes },
            },
        },
        other => other,
    };
    diagnosis
}

fn crash(
    container: Option<&str>,
    crashes: u32,
    exit_code: i64,
    reason: String,
    evidence: Evidence<'_>,
) -> Cause {
    if reason == "OOMKilled" {
        return Cause::OutOfMemory { crashes, limit: memory_limit(evidence.pod, container) };
    }
    // containerd starts the container, and it is runc that finds no program: where the program's own words would be.
    if evidence.log.iter().any(|line| line.ends_with("exec format error"))
        && let Some(container) = container_of(evidence.pod, container)
    {
        return Cause::ExecFormat { image: text(container, "image") };
    }
    let about = evidence.pod.zip(evidence.events);
    let about = about.map_or(&[][..], |(pod, events)| events.of("Pod", &text(&pod["metadata"], "name")));
    // 143 and 137 are SIGTERM and SIGKILL; a program that takes SIGTERM well ends with 0.
    if matches!(exit_code, 0 | 137 | 143)
        && let Some(probe) = events::was_killed_by_probe(about)
    {
        let failure = events::usual_probe_failure(about, probe, container);
        let said = failure.map_or_else(|| "no answer".to_owned(), |failure| failure.said);
        return Cause::ProbeKills { probe: probe.to_owned(), said, crashes };
    }
    match log_line::read(evidence.log) {
        Some(Said::Dependency { what, how, line }) => Cause::Dependency { what, how, line, crashes },
        Some(Said::Line(line)) => {
            Cause::CrashLoop { crashes, exit_code, reason, line: Some(line), migrated: evidence.migrated }
        }
        None => Cause::CrashLoop { crashes, exit_code, reason, line: None, migrated: evidence.migrated },
    }
}

fn container_of<'p>(pod: Option<&'p Value>, container: Option<&str>) -> Option<&'p Value> {
    let pod = pod?;
    let containers =
        ["containers", "initContainers"].into_iter().filter_map(|list| pod["spec"][list].as_array());
    containers.flatten().find(|one| one["name"].as_str() == container)
}

fn memory_limit(pod: Option<&Value>, container: Option<&str>) -> Option<String> {
    container_of(pod, container)?["resources"]["limits"]["memory"].as_str().map(str::to_owned)
}

fn pull_secrets(pod: Option<&Value>) -> Vec<String> {
    let secrets = pod.and_then(|pod| pod["spec"]["imagePullSecrets"].as_array()).into_iter().flatten();
    secrets.filter_map(|secret| secret["name"].as_str().map(str::to_owned)).collect()
}
