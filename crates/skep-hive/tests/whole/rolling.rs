//! A Deployment behind a Service and an Ingress: rolled under load, scaled, deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::hive::{Hive, directory, page, possible, until};
use crate::image;

/// Serves its page until told to stop. A shell in front, since the first process of a pid namespace has no default SIGTERM.
const SERVE: &str = "trap 'kill $!; exit 0' TERM; httpd -f -p 8000 -h /www & wait";

pub(crate) fn deployment(name: &str, replicas: i32, image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {
                "terminationGracePeriodSeconds": 5,
                "containers": [{"name": "page", "image": image, "command": ["sh", "-c", SERVE],
                    "ports": [{"name": "http", "containerPort": 8000}],
                    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}}]}}}})
}

/// The Deployment's Service and an Ingress at `<name>.localhost`.
pub(crate) async fn expose(hive: &Hive, name: &str) {
    let _: Service = hive
        .create(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}}))
        .await;
    let _: Ingress = hive
        .create(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name},
            "spec": {"rules": [{"host": format!("{name}.localhost"), "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": name, "port": {"name": "web"}}}}]}}]}}))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_under_load_loses_no_request() {
    if !possible() {
        return;
    }
    let dir = directory();
    let hive = Hive::start(dir.path()).await;
    let (first, second) = (image::push(&hive, "version one").await, image::push(&hive, "version two").await);
    let _: Deployment = hive.create(deployment("web", 3, &first)).await;
    expose(&hive, "web").await;
    hive.rolled_out("web").await;
    until("the page is served", async || matches!(hive.get("web.localhost").await, Ok((200, _)))).await;
    assert_eq!(hive.get("web.localhost").await.unwrap().1, "version one");

    let (going, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let services: Api<Service> = hive.api();
    let service = services.get("web").await.unwrap().spec.unwrap().cluster_ip.unwrap();
    // Three through the Ingress, one straight to the Service's address.
    let urls = [hive.ingress_url(), hive.ingress_url(), hive.ingress_url(), format!("http://{service}/")];
    let load: Vec<_> = urls
        .into_iter()
        .map(|url| tokio::spawn(load(hive.http.clone(), url, Arc::clone(&going), Arc::clone(&sent))))
        .collect();
    let deployments: Api<Deployment> = hive.api();
    for image in [&second, &first, &second] {
        let begun = Instant::now();
        let patch =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "page", "image": image}]}}}});
        deployments.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
        hive.rolled_out("web").await;
        eprintln!("three replicas rolled in {:?}", begun.elapsed());
    }
    until("the old pods are gone", async || hive.pods("app=web").await.len() == 3).await;
    going.store(false, Ordering::Relaxed);
    let mut failures = Vec::new();
    for task in load {
        failures.extend(task.await.unwrap());
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(
        failures.is_empty(),
        "{} of {sent} requests failed: {:?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
    assert!(sent > 200, "only {sent} requests were sent");
    assert_eq!(hive.get("web.localhost").await.unwrap().1, "version two");

    let scale = json!({"spec": {"replicas": 1}});
    deployments.patch("web", &PatchParams::default(), &Patch::Merge(scale)).await.unwrap();
    hive.rolled_out("web").await;
    until("one pod is left", async || hive.pods("app=web").await.len() == 1).await;
    deployments.delete("web", &DeleteParams::default()).await.unwrap();
    until("no pod is left", async || hive.pods("app=web").await.is_empty()).await;
    until("nobody answers", async || matches!(hive.get("web.localhost").await, Ok((503, _)))).await;
    assert!(hive.stop());
}

/// Asks for the page again and again; returns what went wrong.
async fn load(
    http: reqwest::Client,
    url: String,
    going: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(15));
    while going.load(Ordering::Relaxed) {
        pace.tick().await;
        sent.fetch_add(1, Ordering::Relaxed);
        match page(&http, &url, "web.localhost").await {
            Ok((200, page)) if page.starts_with("version") => {}
            other => failures.push(format!("{url}: {other:?}")),
        }
    }
    failures
}
