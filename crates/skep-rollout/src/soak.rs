//! After a rollout: whether its pods stay as they were when they had become ready.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Cause, Diagnosis, Events, LogWanted, Observed, events,
    pod::{self, Symptom},
    pods::Pods,
    stuck::asks,
    workload::text,
};

/// The memory of one workload's soak.
#[derive(Debug, Clone, Default)]
pub struct Soak {
    containers: BTreeMap<(String, String), Container>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Container {
    /// Times it had ended when it was first seen.
    ended: u32,
    ready: bool,
}

impl Soak {
    /// What has gone wrong since the first look: a container that ended, or one that was ready and is not.
    ///
    /// It is the kubelet's own word for each container that counts: a node that does not answer for a moment makes its pods unready too,
    /// and proves nothing about the release.
    pub fn step(&mut self, observed: Observed<'_>) -> Option<Diagnosis> {
        let Some(workload) = observed.workload else {
            return Some(Diagnosis::of_workload(Cause::Deleted));
        };
        let pods = Pods::of(workload, observed).new;
        let stays = pods.into_iter().filter(|pod| !pod::is_leaving(pod));
        stays.filter_map(|pod| self.of_pod(pod, &observed.around.events)).next()
    }

    fn of_pod(&mut self, pod: &Value, events: &Events<'_>) -> Option<Diagnosis> {
        let name = text(&pod["metadata"], "name");
        let crashes = pod::symptoms(pod, events).into_iter().filter_map(|symptom| match symptom {
            Symptom::Crashed { container, crashes, exit_code, reason, log, .. } => {
                Some((container, (crashes, exit_code, reason, log)))
            }
            Symptom::Final(_) | Symptom::PullFailed { .. } => None,
        });
        let crashes: BTreeMap<String, _> = crashes.collect();
        let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let mut found = None;
        for status in statuses {
            let container = text(status, "name");
            let crash = crashes.get(&container);
            let ended = crash.map_or(0, |(crashes, ..)| *crashes);
            let ready = status["ready"] == true;
            let known = self.containers.entry((name.clone(), container.clone()));
            let before = known.or_insert(Container { ended, ready });
            let diagnosed = |cause, log| Diagnosis {
                pod: Some(name.clone()),
                container: Some(container.clone()),
                cause,
                log: Some(log),
            };
            if let Some((_, exit_code, reason, log)) = crash.filter(|_| ended > before.ended) {
                let (exit_code, reason) = (*exit_code, reason.clone());
                let crashes = ended - before.ended;
                let cause = Cause::CrashLoop { crashes, exit_code, reason, line: None, migrated: false };
                found = found.or(Some(diagnosed(cause, *log)));
            } else if before.ready && !ready {
                let about = events.of("Pod", &name);
                let failure = events::probe_failure(about, None, Some(&container));
                let said = failure.map(|failure| failure.said).unwrap_or_default();
                let cause = Cause::WentUnready { said, asks: asks(pod, &container) };
                found = found.or(Some(diagnosed(cause, LogWanted::Current)));
            }
            before.ready |= ready;
        }
        found
    }
}
