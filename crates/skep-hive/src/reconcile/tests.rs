//! The controllers together, over the real API in memory, with a pretended kubelet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_apiserver::{DeleteOptions, Patch, PatchOptions, Propagation, Resources, ResourcesConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Controllers;
use crate::controllers::job::RetryDelay;
use crate::kind::Kind;
use crate::object;

struct Cluster {
    resources: Resources,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _volumes: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let resources = Resources::open(ResourcesConfig {
            service_cidr: Some(([10, 99, 0, 0].into(), 24)),
            ..ResourcesConfig::default()
        })
        .unwrap();
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
        resources.create(node, "test").await.unwrap();
        let volumes = tempfile::tempdir().unwrap();
        let controllers = Controllers {
            resources: resources.clone(),
            node: "n".to_owned(),
            volumes: volumes.path().to_owned(),
            retry: RetryDelay { initial: Duration::from_millis(10), max: Duration::from_millis(20) },
        };
        let shutdown = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(controllers.run(shutdown.clone())),
            tokio::spawn(pretend_kubelet(resources.clone(), shutdown.clone())),
        ];
        Self { resources, shutdown, tasks, _volumes: volumes }
    }

    async fn create(&self, object: Value) -> Arc<Value> {
        self.resources.create(object, "test").await.unwrap()
    }

    async fn merge(&self, kind: Kind, name: &str, patch: Value) {
        let options = PatchOptions { manager: "test".to_owned(), ..PatchOptions::default() };
        self.resources.patch(kind, Some("default"), name, Patch::Merge(patch), options).await.unwrap();
    }

    fn list(&self, kind: Kind) -> Vec<Arc<Value>> {
        self.resources.list(kind, Some("default"))
    }

    fn get(&self, kind: Kind, name: &str) -> Option<Arc<Value>> {
        self.resources.get(kind, Some("default"), name)
    }

    async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// Polls until `done`, for at most ten seconds.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Bound pods run at once; those with the command `exit N` end so; leaving ones are gone at once.
async fn pretend_kubelet(resources: Resources, shutdown: CancellationToken) {
    let mut pods = resources.watch(Kind::POD, None);
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            Some(event) = pods.next() => event,
        };
        let pod = event.object();
        let (namespace, name) = (object::namespace(pod), object::name(pod));
        let Some(pod) = resources.get(Kind::POD, Some(namespace), name) else { continue };
        if object::is_deleting(&pod) {
            let now = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
            drop(resources.delete(Kind::POD, Some(namespace), name, now).await);
        } else if !object::text(&pod, "/spec/nodeName").is_empty()
            && object::text(&pod, "/status/podIP").is_empty()
        {
            let phase = match object::text(&pod, "/spec/containers/0/command/0") {
                "succeed" => "Succeeded",
                "fail" => "Failed",
                _ => "Running",
            };
            let mut pod = Value::clone(&pod);
            pod["status"] = json!({"phase": phase, "podIP": "10.98.0.2", "conditions": [{"type": "Ready",
                "status": "True", "lastTransitionTime": object::stamp(skep_ambient::now())}]});
            drop(resources.update_status(pod, "kubelet").await);
        }
    }
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}}}})
}

fn job(name: &str, command: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "default"},
        "spec": {"backoffLimit": 1, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "v1", "command": [command]}]}}}})
}

fn is_rolled_out(deployment: &Value) -> bool {
    let status = |field: &str| object::integer(deployment, &format!("/status/{field}"));
    let replicas = object::integer(deployment, "/spec/replicas");
    status("observedGeneration") == object::integer(deployment, "/metadata/generation")
        && status("updatedReplicas") == replicas
        && status("availableReplicas") == replicas
        && status("replicas") == replicas
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_rolled_out_rolled_and_scaled() {
    let cluster = Cluster::start().await;
    cluster.create(deployment("web", 3)).await;
    let rolled_out = || cluster.get(Kind::DEPLOYMENT, "web").is_some_and(|one| is_rolled_out(&one));
    until("rolled out", rolled_out).await;
    let template = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}});
    cluster.merge(Kind::DEPLOYMENT, "web", template).await;
    until("the update rolled out", rolled_out).await;
    assert_eq!(cluster.list(Kind::REPLICA_SET).len(), 2);
    cluster.merge(Kind::DEPLOYMENT, "web", json!({"spec": {"replicas": 1}})).await;
    until("scaled", || rolled_out() && cluster.list(Kind::POD).len() == 1).await;
    assert_eq!(cluster.list(Kind::REPLICA_SET).len(), 2);
    let events = cluster.list(Kind::EVENT);
    let told = |reason: &str| events.iter().any(|event| object::text(event, "/reason") == reason);
    for reason in ["ScalingReplicaSet", "SuccessfulCreate", "Scheduled"] {
        assert!(told(reason), "{reason} is not among {events:#?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependents_follow_their_owner() {
    let cluster = Cluster::start().await;
    for (name, propagation) in [
        ("back", Some(Propagation::Background)),
        ("fore", Some(Propagation::Foreground)),
        ("orphan", Some(Propagation::Orphan)),
    ] {
        cluster.create(deployment(name, 2)).await;
        until("rolled out", || cluster.get(Kind::DEPLOYMENT, name).is_some_and(|one| is_rolled_out(&one)))
            .await;
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        cluster.resources.delete(Kind::DEPLOYMENT, Some("default"), name, options).await.unwrap();
        until("the deployment is gone", || cluster.get(Kind::DEPLOYMENT, name).is_none()).await;
        if propagation == Some(Propagation::Orphan) {
            let sets = cluster.list(Kind::REPLICA_SET);
            assert_eq!(sets.len(), 1, "an orphan stays");
            assert!(object::controller(&sets[0]).is_none());
            assert_eq!(cluster.list(Kind::POD).len(), 2);
        } else {
            until("all is gone", || {
                cluster.list(Kind::REPLICA_SET).is_empty() && cluster.list(Kind::POD).is_empty()
            })
            .await;
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_end_by_their_conditions() {
    let cluster = Cluster::start().await;
    for (name, command, end) in [("good", "succeed", "Complete"), ("bad", "fail", "Failed")] {
        cluster.create(job(name, command)).await;
        until(end, || cluster.get(Kind::JOB, name).is_some_and(|one| object::is_true(&one, end))).await;
    }
    assert_eq!(cluster.get(Kind::JOB, "bad").unwrap()["status"]["failed"], 2);
    cluster.resources.delete(Kind::JOB, Some("default"), "bad", DeleteOptions::default()).await.unwrap();
    until("its pods are gone", || cluster.list(Kind::POD).len() == 1).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_is_emptied_and_goes() {
    let cluster = Cluster::start().await;
    cluster.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "app"}})).await;
    let mut web = deployment("web", 2);
    web["metadata"]["namespace"] = json!("app");
    cluster.create(web).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "app"}});
    cluster.create(secret).await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "app"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    cluster.create(claim).await;
    let bound = || {
        let claim = cluster.resources.get(Kind::PVC, Some("app"), "data");
        claim.is_some_and(|claim| object::text(&claim, "/status/phase") == "Bound")
    };
    until("the claim is bound", bound).await;
    until("pods run", || cluster.resources.list(Kind::POD, Some("app")).len() == 2).await;
    cluster.resources.delete(Kind::NAMESPACE, None, "app", DeleteOptions::default()).await.unwrap();
    until("the namespace is gone", || cluster.resources.get(Kind::NAMESPACE, None, "app").is_none()).await;
    until("its volume is gone", || cluster.resources.list(Kind::PV, None).is_empty()).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_have_endpoints_of_ready_pods() {
    let cluster = Cluster::start().await;
    cluster.create(deployment("web", 2)).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}});
    cluster.create(service).await;
    let endpoints = || {
        let slices = cluster.list(Kind::ENDPOINT_SLICE);
        slices.iter().map(|slice| object::array(slice, "/endpoints").len()).sum::<usize>()
    };
    until("both pods stand behind it", || endpoints() == 2).await;
    assert_eq!(cluster.list(Kind::ENDPOINTS).len(), 1);
    cluster.merge(Kind::DEPLOYMENT, "web", json!({"spec": {"replicas": 0}})).await;
    until("none is left", || endpoints() == 0).await;
    cluster.resources.delete(Kind::SERVICE, Some("default"), "web", DeleteOptions::default()).await.unwrap();
    until("slices are gone", || {
        cluster.list(Kind::ENDPOINT_SLICE).is_empty() && cluster.list(Kind::ENDPOINTS).is_empty()
    })
    .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_keeps_the_count_between_its_bounds() {
    let cluster = Cluster::start().await;
    cluster.create(deployment("web", 1)).await;
    let hpa = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minReplicas": 2, "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    cluster.create(hpa).await;
    let replicas = |wanted: i64| {
        let found = cluster.get(Kind::DEPLOYMENT, "web");
        found.is_some_and(|one| object::integer(&one, "/spec/replicas") == Some(wanted))
    };
    until("raised to the minimum", || replicas(2)).await;
    cluster.merge(Kind::DEPLOYMENT, "web", json!({"spec": {"replicas": 9}})).await;
    until("lowered to the maximum", || replicas(3)).await;
    cluster.stop().await;
}
