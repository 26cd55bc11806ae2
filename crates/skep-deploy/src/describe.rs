//! `skep describe`: all that is worth knowing of one service, on one page: what it runs, what it reads, who reaches it, how its pods are, what the
//! cluster said last, and what is wrong.

use serde_json::Value;
use skep_cluster::{Route, Selector};
use skep_model::{ObjectKey, Step};
use skep_rollout::{Events, pod, readiness_asks};

use crate::{
    App, ClusterEvent, Diagnosed, Failure,
    diagnose::looked_at,
    error::{InStep, Problem},
    events::Of,
    operate::service_named,
    owned::pods_of,
    traffic,
};

/// How many Events are told.
const EVENTS: usize = 10;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// How it is.
    pub diagnosed: Diagnosed,
    /// The release that wrote it.
    pub release: Option<String>,
    /// Its containers, in the manifest's order.
    pub containers: Vec<ContainerDescription>,
    /// ConfigMaps and Secrets that its pods read, as `ConfigMap/api-config-4f9a1c2b`.
    pub reads: Vec<String>,
    /// Who reaches it: `Service/api port 80`, `https://api.example.com/`.
    pub reached_by: Vec<String>,
    /// Its pods, the oldest first.
    pub pods: Vec<PodDescription>,
    /// What the cluster said last, the newest last.
    pub events: Vec<ClusterEvent>,
}

/// A container of its template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDescription {
    /// Its name.
    pub name: String,
    /// As it is pinned.
    pub image: String,
    /// What its readiness probe asks.
    pub readiness: Option<String>,
    /// `cpu 100m, memory 64Mi`.
    pub requests: String,
    /// The same for its limits.
    pub limits: String,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDescription {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub node: String,
    /// Since when it is there, RFC 3339.
    pub since: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// How often its containers were started again.
    pub restarts: u64,
    /// How its last run ended, if it was started again: `exit code 137 (OOMKilled) at 2026-01-01T00:00:00Z`.
    pub ended: Option<String>,
    /// What it waits for, if it is not ready.
    pub waits_for: Option<String>,
}

/// Describes one service.
///
/// # Errors
/// When there is no such service, or the API fails.
pub async fn describe(app: &App, service: &str) -> Result<Description, Failure> {
    let workload = service_named(app, service).await?;
    let key = ObjectKey::of(&workload).ok_or_else(|| {
        let what = format!("{service} has no kind or name");
        Failure::at(Step::Load, Problem::Project { what, hint: "deploy it again".to_owned() })
    })?;
    let mut view = app.cluster.view(app.namespace());
    let (seen, services, ingresses) = tokio::join!(
        view.changed(),
        list(app, "v1", "Service"),
        list(app, "networking.k8s.io/v1", "Ingress"),
    );
    let seen = seen.in_step(Step::Load)?;
    let (sets, all, events) = (seen.all("ReplicaSet"), seen.all("Pod"), seen.all("Event"));
    let (of, indexed) = (Of::workload(seen, &key), Events::new(&events));
    let mut told: Vec<ClusterEvent> =
        events.iter().filter(|event| of.is_about(event)).map(|event| ClusterEvent::read(event)).collect();
    told.sort();
    let annotations = &workload["metadata"]["annotations"];
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array();
    let reads = skep_manifest::config_references(&workload);
    Ok(Description {
        release: annotations["kubernetes.io/change-cause"].as_str().map(str::to_owned),
        containers: containers.into_iter().flatten().map(container).collect(),
        reads: reads.iter().map(|one| format!("{}/{}", one.kind, one.name)).collect(),
        reached_by: reached_by(&workload, &services?, &ingresses?, app.ingress_port),
        pods: pods_of(&workload, &sets, &all).into_iter().map(|pod| one_pod(pod, &indexed)).collect(),
        events: told.split_off(told.len().saturating_sub(EVENTS)),
        diagnosed: Diagnosed { state: looked_at(app, seen, &key).await, object: key },
    })
}

async fn list(app: &App, api_version: &str, kind: &str) -> Result<Vec<Value>, Failure> {
    let Some(route) = Route::built_in(api_version, kind) else { return Ok(Vec::new()) };
    app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await.in_step(Step::Load)
}

fn container(container: &Value) -> ContainerDescription {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let amounts = |of: &str| {
        let amounts = container["resources"][of].as_object().into_iter().flatten();
        amounts.map(|(name, amount)| format!("{name} {}", text(amount))).collect::<Vec<_>>().join(", ")
    };
    ContainerDescription {
        name: text(&container["name"]),
        image: text(&container["image"]),
        readiness: readiness_asks(container),
        requests: amounts("requests"),
        limits: amounts("limits"),
    }
}

fn reached_by(workload: &Value, services: &[Value], ingresses: &[Value], port: Option<u16>) -> Vec<String> {
    let mut found = Vec::new();
    for service in services.iter().filter(|service| traffic::selects(service, workload)) {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        found.extend(ports.map(|one| format!("Service/{name} port {}", one["port"])));
        let urls = ingresses.iter().flat_map(|ingress| traffic::urls(ingress, port));
        found.extend(urls.filter(|(to, _)| to == name).map(|(_, url)| url));
    }
    found
}

fn one_pod(object: &Value, events: &Events<'_>) -> PodDescription {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ready = pod::is_ready(object);
    let statuses = || object["status"]["containerStatuses"].as_array().into_iter().flatten();
    let last = statuses().find_map(|status| {
        let last = &status["lastState"]["terminated"];
        let (code, reason) = (last["exitCode"].as_i64()?, text(&last["reason"]));
        Some(format!("exit code {code} ({reason}) at {}", text(&last["finishedAt"])))
    });
    PodDescription {
        name: text(&object["metadata"]["name"]),
        node: text(&object["spec"]["nodeName"]),
        since: text(&object["metadata"]["creationTimestamp"]),
        restarts: statuses().filter_map(|status| status["restartCount"].as_u64()).sum(),
        ended: last,
        waits_for: (!ready).then(|| match pod::is_leaving(object) {
            true => "ending".to_owned(),
            false => pod::waits_for(object, events),
        }),
        ready,
    }
}
