//! Why a workload is not as wanted: a verdict, and then what has to be asked for the true cause: the log of the container, the
//! registry with the login of whoever deploys, the cluster's complaints. `skep diagnose` asks the same when no deploy runs.

use futures::{StreamExt, future::join_all};
use serde_json::Value;
use skep_cluster::{ClusterError, LogQuery, Route, Selector, Snapshot};
use skep_model::{ImageRef, ObjectKey, Step};
use skep_registry::RegistryError;
use skep_rollout::{
    Cause, Diagnosis, Events, Evidence, LogWanted, Nodes, Observed, RegistrySays, Rollout, Verdict,
};

use crate::{
    App, Failure,
    error::{FailedWorkload, InStep},
    events::{ClusterEvent, Of},
    operate::service_named,
    owned::around,
    status::workloads,
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
        None => workloads(app).await?,
    };
    let mut view = app.cluster.view(app.namespace());
    let seen = view.changed().await.in_step(Step::Load)?;
    let each = keys
        .into_iter()
        .map(|object| async { Diagnosed { state: looked_at(app, seen, &object).await, object } });
    Ok(join_all(each).await)
}

/// How a workload is now, and why, for people.
pub(crate) async fn looked_at(app: &App, seen: &Snapshot, key: &ObjectKey) -> Looked {
    match look(app, seen, key) {
        Verdict::Ready { wanted, .. } => Looked::Well { pods: wanted },
        Verdict::Progressing { ready, wanted, waiting_for, .. } => {
            Looked::Moving { how: format!("{ready} of {wanted} ready, {waiting_for}") }
        }
        Verdict::Failed(diagnosis) => Looked::Ill(explained(app, seen, key, diagnosis, false).await),
    }
}

pub(crate) fn look(app: &App, seen: &Snapshot, key: &ObjectKey) -> Verdict {
    let observed = Observed { workload: seen.get(&key.kind, &key.name), around: &around(seen) };
    Rollout::look(observed, app.patience(), app.schema_exit_code, skep_ambient::now())
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
    let events = Events::new(&seen.all("Event"));
    let pod = diagnosis.pod.as_deref().and_then(|name| seen.get("Pod", name));
    let (log, registry, nodes) =
        tokio::join!(last_lines(app, &diagnosis), asked(app, &diagnosis), nodes(app, &diagnosis));
    let nodes = nodes.as_ref().map(|(nodes, pods)| Nodes { nodes, pods: pods.as_deref() });
    let evidence = Evidence { pod, events: Some(&events), log: &log, registry, nodes, migrated };
    let diagnosis = skep_rollout::explain(diagnosis, evidence);
    let mut log = log;
    log.drain(..log.len().saturating_sub(SHOWN));
    if log.is_empty() {
        log = complaints(seen, workload);
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

/// The nodes that don't take a pod, and the pods that they have. Who may see a namespace alone learns nothing here.
async fn nodes(app: &App, diagnosis: &Diagnosis) -> Option<(Vec<Value>, Option<Vec<Value>>)> {
    let Cause::Unschedulable { .. } = &diagnosis.cause else { return None };
    let list = async |kind| {
        let route = Route::built_in("v1", kind)?;
        app.cluster.list(&route, None, &Selector::default()).await.ok()
    };
    let (nodes, pods) = tokio::join!(list("Node"), list("Pod"));
    Some((nodes?, pods))
}

/// What the cluster has complained of about a workload and its pods: a probe's own error says more than "not ready".
fn complaints(seen: &Snapshot, workload: &ObjectKey) -> Vec<String> {
    let of = Of::workload(seen, workload);
    let events = seen.all("Event").into_iter().filter(|event| of.is_about(event)).map(ClusterEvent::read);
    let mut found: Vec<ClusterEvent> = events.filter(|event| event.warning).collect();
    found.sort();
    let mut lines: Vec<String> = found.iter().map(ClusterEvent::to_string).collect();
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
        ..LogQuery::default()
    };
    match app.cluster.log_lines(&query).await {
        Ok(lines) => lines.filter_map(|line| async { line.ok() }).collect().await,
        Err(withheld @ ClusterError::Withheld { .. }) => vec![withheld.to_string()],
        Err(_) => Vec::new(),
    }
}
