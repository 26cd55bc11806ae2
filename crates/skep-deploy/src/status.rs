//! `skep status`: what runs now.

use std::time::Duration;

use serde_json::Value;
use skep_cluster::Snapshot;
use skep_model::{ObjectKey, Release, Step};
use skep_rollout::{Events, pod, workload::Counts};

use crate::{
    App, Failure,
    error::{InStep, Problem},
    owned::pods_of,
};

/// Many things change at once while a rollout moves: what is watched is looked at no more often.
const BREATH: Duration = Duration::from_millis(300);

/// What runs now.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The newest release.
    pub release: Option<Release>,
    /// Each workload of it.
    pub services: Vec<ServiceStatus>,
}

/// One workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Which.
    pub object: ObjectKey,
    /// Whether the cluster has it; somebody may have deleted it.
    pub exists: bool,
    /// Pods wanted.
    pub wanted: u32,
    /// Pods of the newest template that are available.
    pub available: u32,
    /// Whether it is settled: all new, all available, none left over.
    pub settled: bool,
    /// The images it runs, as pinned.
    pub images: Vec<String>,
    /// Its pods.
    pub pods: Vec<PodStatus>,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodStatus {
    /// Its name.
    pub name: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// How often its containers were started again.
    pub restarts: u64,
    /// What it waits for, if it is not ready.
    pub waits_for: Option<String>,
}

/// What runs now.
///
/// # Errors
/// When the API fails.
pub async fn status(app: &App) -> Result<Status, Failure> {
    let mut view = app.cluster.view(app.namespace());
    let store = app.releases();
    let releases = async { store.all().await.in_step(Step::Load) };
    let seen = async { view.changed().await.in_step(Step::Load) };
    let (mut releases, seen) = tokio::try_join!(releases, seen)?;
    app.warn_of_unreadable(&releases);
    Ok(of(releases.pop(), seen))
}

/// Calls `each` with what runs now, and again whenever that has changed, until it is stopped.
///
/// # Errors
/// When the API fails.
pub async fn watch_status(app: &App, mut each: impl FnMut(&Status)) -> Result<(), Failure> {
    let mut view = app.cluster.view(app.namespace());
    let mut told = None;
    loop {
        tokio::select! {
            changed = view.changed() => { changed.in_step(Step::Load)?; }
            () = app.cancel.cancelled() => return Ok(()),
        }
        let status = of(app.releases().all().await.in_step(Step::Load)?.pop(), view.latest());
        if told.as_ref() != Some(&status) {
            each(&status);
            told = Some(status);
        }
        tokio::time::sleep(BREATH).await;
    }
}

fn of(release: Option<Release>, seen: &Snapshot) -> Status {
    let (sets, pods) = (seen.all("ReplicaSet"), seen.all("Pod"));
    let events = Events::new(&seen.all("Event"));
    let keys = release.iter().flat_map(|release| &release.inventory);
    let workloads =
        keys.filter(|key| matches!(key.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet"));
    let one = |key: &ObjectKey| match seen.get(&key.kind, &key.name) {
        Some(workload) => service(key, workload, &sets, &pods, &events),
        None => ServiceStatus {
            object: key.clone(),
            exists: false,
            wanted: 0,
            available: 0,
            settled: false,
            images: Vec::new(),
            pods: Vec::new(),
        },
    };
    let services = workloads.map(one).collect();
    Status { release, services }
}

/// The workloads of the newest release.
pub(crate) async fn workloads(app: &App) -> Result<Vec<ObjectKey>, Failure> {
    let newest = app.releases().all().await.in_step(Step::Load)?.pop();
    let newest = newest.ok_or_else(|| {
        let what = format!("nothing of {} is deployed on {}", app.project.app, app.project.target);
        let hint = "`skep deploy` ships it".to_owned();
        Failure::at(Step::Load, Problem::Project { what, hint })
    })?;
    let workloads = newest.objects.iter().filter(|object| skep_manifest::is_workload(object));
    Ok(workloads.filter_map(ObjectKey::of).collect())
}

fn service(
    key: &ObjectKey,
    workload: &Value,
    sets: &[&Value],
    pods: &[&Value],
    events: &Events<'_>,
) -> ServiceStatus {
    let counts = Counts::read(workload).unwrap_or_default();
    let containers = workload.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    ServiceStatus {
        object: key.clone(),
        exists: true,
        wanted: counts.wanted,
        available: counts.available,
        settled: counts.done(),
        images: containers
            .into_iter()
            .flatten()
            .filter_map(|container| container["image"].as_str().map(str::to_owned))
            .collect(),
        pods: pods_of(workload, sets, pods).into_iter().map(|pod| pod_status(pod, events)).collect(),
    }
}

fn pod_status(object: &Value, events: &Events<'_>) -> PodStatus {
    let ready = pod::is_ready(object);
    let restarts = object["status"]["containerStatuses"].as_array().into_iter().flatten();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    PodStatus {
        ready,
        restarts: restarts.filter_map(|status| status["restartCount"].as_u64()).sum(),
        waits_for: (!ready).then(|| {
            if pod::is_leaving(object) { format!("{name}: ending") } else { pod::waits_for(object, events) }
        }),
        name,
    }
}
