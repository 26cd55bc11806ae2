//! Why a workload is not as wanted: a verdict, and then what has to be asked for the true cause: the log of the container, the
//! registry with the login of whoever deploys, the cluster's complaints. `skep diagnose` asks the same when no deploy runs.

use futures::{StreamExt, future::join_all};
use jiff::Timestamp;
use serde_json::Value;
use skep_cluster::{LogQuery, Snapshot};
use skep_model::{ImageRef, ObjectKey, Step};
use skep_registry::RegistryError;
use skep_rollout::{Cause, Diagnosis, Evidence, LogWanted, Observed, RegistrySays, Rollout, Verdict};

use crate::{
    App, Failure,
    error::{FailedWorkload, InStep, Problem},
    operate::service_named,
};

/// How many lines of a container's log are shown.
const SHOWN: usize = 15;
/// How many are read: what says why may stand above a long trace.
const READ: u32 = 60;
/// How many of the cluster's complaints are shown.
const COMPLAINTS: usize = 6;

/// One workload, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosed {
    /// Which.
    pub object: ObjectKey,
    /// How it is.
    pub state: Looked,
}

/// How a workload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// As wanted.
    Well {
        /// Its pods.
        pods: u32,
    },
    /// Not as wanted, and nothing is wrong so far.
    Moving {
        /// `1 of 3 ready, api-7d9: its readiness probe`.
        how: String,
    },
    /// Something is wrong.
    Ill(FailedWorkload),
}

/// Looks at the workloads of the newest release, or at one of them.
///
/// # Errors
/// When there is no such service, or the API fails.
pub async fn diagnose(app: &App, service: Option<&str>) -> Result<Vec<Diagnosed>, Failure> {
    let keys: Vec<ObjectKey> = match service {
        Some(name) => ObjectKey::of(&service_named(app, name).await?).into_iter().collect(),
        None => {
            let newest = app.releases().all().await.in_step(Step::Load)?.pop();
            let newest = newest.ok_or_else(|| {
                let what = format!("nothing of {} is deployed on {}", app.project.app, app.project.target);
                let hint = "`skep deploy` ships it".to_owned();
                Failure::at(Step::Load, Problem::Project { what, hint })
            })?;
            newest
                .objects
                .iter()
                .filter(|object| skep_manifest::is_workload(object))
                .filter_map(ObjectKey::of)
                .collect()
        }
    };
    let mut view = app.cluster.view(app.namespace());
    let seen = view.changed().await.in_step(Step::Load)?.clone();
    let mut looked = Vec::new();
    for object in keys {
        let state = match look(app, &seen, &object) {
            Verdict::Ready { wanted } => Looked::Well { pods: wanted },
            Verdict::Progressing { ready, wanted, waiting_for, .. } => {
                Looked::Moving { how: format!("{ready} of {wanted} ready, {waiting_for}") }
            }
            Verdict::Failed(diagnosis) => Looked::Ill(explained(app, &seen, &object, diagnosis, false).await),
        };
        looked.push(Diagnosed { object, state });
    }
    Ok(looked)
}

pub(crate) fn look(app: &App, seen: &Snapshot, key: &ObjectKey) -> Verdict {
    let (sets, pods, events) = (seen.all("ReplicaSet"), seen.all("Pod"), seen.all("Event"));
    let workload = seen.get(&key.kind, &key.name);
    let observed = Observed { workload, replica_sets: &sets, pods: &pods, events: &events };
    Rollout::look(observed, app.patience(), app.schema_exit_code, Timestamp::now())
}

/// The true causes, with their evidence.
pub(crate) async fn all_explained(
    app: &App,
    seen: &Snapshot,
    failed: Vec<(ObjectKey, Diagnosis)>,
    migrated: bool,
) -> Vec<FailedWorkload> {
    let each = failed
        .into_iter()
        .map(|(key, diagnosis)| async move { explained(app, seen, &key, diagnosis, migrated).await });
    join_all(each).await
}

async fn explained(
    app: &App,
    seen: &Snapshot,
    workload: &ObjectKey,
    diagnosis: Diagnosis,
    migrated: bool,
) -> FailedWorkload {
    let events = seen.all("Event");
    let pod = diagnosis.pod.as_deref().and_then(|name| seen.get("Pod", name));
    let (log, registry) = tokio::join!(last_lines(app, &diagnosis), asked(app, &diagnosis));
    let evidence = Evidence { pod, events: &events, log: &log, registry, migrated };
    let diagnosis = skep_rollout::explain(diagnosis, evidence);
    let mut log = log;
    log.drain(..log.len().saturating_sub(SHOWN));
    if log.is_empty() {
        log = complaints(&events, workload);
    }
    FailedWorkload { workload: workload.to_string(), diagnosis, log }
}

/// Asks the registry for an image that the cluster was refused.
async fn asked(app: &App, diagnosis: &Diagnosis) -> Option<RegistrySays> {
    let Cause::ImageDenied { image, .. } = &diagnosis.cause else { return None };
    let image: ImageRef = image.parse().ok()?;
    match app.images.has_manifest(&image).await {
        Ok(Some(_)) => Some(RegistrySays::Here),
        Ok(None) => Some(RegistrySays::Missing),
        Err(RegistryError::Denied { .. }) => Some(RegistrySays::Refused),
        Err(_) => None,
    }
}

/// What the cluster has complained of about a workload and its pods: a probe's own error says more than "not ready".
fn complaints(events: &[&Value], workload: &ObjectKey) -> Vec<String> {
    let of_the_workload = |event: &&&Value| {
        let about = event["involvedObject"]["name"].as_str().unwrap_or_default();
        let rest = about.strip_prefix(&workload.name);
        event["type"] == "Warning" && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let mut found: Vec<&Value> = events.iter().filter(of_the_workload).copied().collect();
    found.sort_by_key(|event| event["lastTimestamp"].as_str().unwrap_or_default().to_owned());
    let told = |event: &Value| {
        let count = event["count"].as_u64().or_else(|| event["series"]["count"].as_u64()).unwrap_or(1);
        let (reason, message) = (event["reason"].as_str(), event["message"].as_str());
        format!("{} ({count} times): {}", reason.unwrap_or_default(), message.unwrap_or_default().trim())
    };
    let mut lines: Vec<String> = found.into_iter().map(told).collect();
    lines.dedup();
    lines.split_off(lines.len().saturating_sub(COMPLAINTS))
}

/// The end of the log that the diagnosis names. The runtime may have let go of a crashed container: then there is none.
async fn last_lines(app: &App, diagnosis: &Diagnosis) -> Vec<String> {
    let (Some(pod), Some(wanted)) = (&diagnosis.pod, diagnosis.log) else {
        return Vec::new();
    };
    let query = LogQuery {
        namespace: app.namespace().to_owned(),
        pod: pod.clone(),
        container: diagnosis.container.clone(),
        tail: Some(READ),
        previous: wanted == LogWanted::Previous,
        follow: false,
    };
    match app.cluster.log_lines(&query).await {
        Ok(lines) => lines.filter_map(|line| async { line.ok() }).collect().await,
        Err(_) => Vec::new(),
    }
}
