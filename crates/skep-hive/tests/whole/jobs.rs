//! Jobs, volumes, configuration and names, as pods see them.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::LogParams;
use serde_json::{Value, json};

use crate::hive::{Hive, directory, possible, until};
use crate::image;
use crate::rolling::{deployment, expose};

fn job(name: &str, image: &str, script: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never",
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            "containers": [{"name": "run", "image": image, "command": ["sh", "-c", script],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}}})
}

async fn ended(hive: &Hive, name: &str, condition: &str) -> Job {
    let jobs: Api<Job> = hive.api();
    let mut found = None;
    until(&format!("{name} is {condition}"), async || {
        let job = jobs.get(name).await.unwrap();
        let conditions = job.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        let is = conditions.iter().any(|one| one.type_ == condition && one.status == "True");
        found = Some(job);
        is
    })
    .await;
    found.expect("the loop ran")
}

async fn log_of(hive: &Hive, name: &str) -> String {
    let pods = hive.pods(&format!("batch.kubernetes.io/job-name={name}")).await;
    let pods_api: Api<Pod> = hive.api();
    pods_api.logs(pods[0].metadata.name.as_ref().unwrap(), &LogParams::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_complete_fail_log_and_share_a_volume() {
    if !possible() {
        return;
    }
    let dir = directory();
    let hive = Hive::start(dir.path()).await;
    let image = image::push(&hive, "the page").await;
    let _: ConfigMap = hive
        .create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"GREETING": "hello"}}))
        .await;
    let _: PersistentVolumeClaim = hive
        .create(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}))
        .await;
    let _: Job = hive.create(job("good", &image, "echo $GREETING; echo kept > /data/note")).await;
    let good = ended(&hive, "good", "Complete").await;
    assert_eq!(good.status.unwrap().succeeded, Some(1));
    assert_eq!(log_of(&hive, "good").await, "hello\n");

    let _: Job = hive.create(job("bad", &image, "cat /data/note; exit 3")).await;
    let bad = ended(&hive, "bad", "Failed").await;
    assert_eq!(bad.status.unwrap().failed, Some(1));
    assert_eq!(log_of(&hive, "bad").await, "kept\n");
    let pods = hive.pods("batch.kubernetes.io/job-name=bad").await;
    let status = pods[0].status.clone().unwrap();
    let container = &status.container_statuses.unwrap()[0];
    assert_eq!(container.state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 3);

    // A pod reaches a Service by its short name.
    let _: Deployment = hive.create(deployment("web", 1, &image)).await;
    expose(&hive, "web").await;
    hive.rolled_out("web").await;
    let _: Job = hive.create(job("caller", &image, "wget -q -O - http://web/")).await;
    ended(&hive, "caller", "Complete").await;
    assert_eq!(log_of(&hive, "caller").await, "the page");
    assert!(hive.stop());
}
