//! `skep status`: what runs now.

use serde_json::Value;
use skep_cluster::{Route, Selector};
use skep_model::{ObjectKey, Release, Step};
use skep_rollout::{pod, workload::Counts};

use crate::{App, Failure, error::InStep, steps::roll::pods_of};

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
    let release = app.releases().all().await.in_step(Step::Load)?.pop();
    let Some(release) = release else {
        return Ok(Status { release: None, services: Vec::new() });
    };
    let keys: Vec<&ObjectKey> = release
        .inventory
        .iter()
        .filter(|key| matches!(key.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet"))
        .collect();
    let sets = list(app, "apps/v1", "ReplicaSet").await?;
    let sets: Vec<_> = sets.iter().collect();
    let pods = list(app, "v1", "Pod").await?;
    let pods: Vec<_> = pods.iter().collect();
    // They say more of a pod, and are not everybody's to read.
    let events = list(app, "v1", "Event").await.unwrap_or_default();
    let events: Vec<_> = events.iter().collect();
    let mut services = Vec::new();
    for key in keys {
        if let Some(workload) = app.cluster.get(key).await.in_step(Step::Load)? {
            services.push(service(key, &workload, &sets, &pods, &events));
        } else {
            services.push(ServiceStatus {
                object: key.clone(),
                exists: false,
                wanted: 0,
                available: 0,
                settled: false,
                images: Vec::new(),
                pods: Vec::new(),
            });
        }
    }
    Ok(Status { release: Some(release), services })
}

async fn list(app: &App, api_version: &str, kind: &str) -> Result<Vec<Value>, Failure> {
    let Some(route) = Route::built_in(api_version, kind) else {
        return Ok(Vec::new());
    };
    app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await.in_step(Step::Load)
}

fn service(
    key: &ObjectKey,
    workload: &Value,
    sets: &[&Value],
    pods: &[&Value],
    events: &[&Value],
) -> ServiceStatus {
    let counts = Counts::read(workload).unwrap_or_default();
    let mut mine = pods_of(workload, pods);
    mine.extend(pods_of(workload, sets).iter().flat_map(|set| pods_of(set, pods)));
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
        pods: mine.into_iter().map(|pod| pod_status(pod, events)).collect(),
    }
}

fn pod_status(object: &Value, events: &[&Value]) -> PodStatus {
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
