//! What survives a hive that was killed, and what a stopped one leaves behind: nothing.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::hive::{Hive, command, directory, possible, until};
use crate::image;
use crate::rolling::{deployment, expose};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_hive_brings_its_pods_back() {
    if !possible() {
        return;
    }
    let dir = directory();
    let hive = Hive::start(dir.path()).await;
    let image = image::push(&hive, "still here").await;
    let _: Deployment = hive.create(deployment("web", 2, &image)).await;
    expose(&hive, "web").await;
    hive.rolled_out("web").await;
    let names = pod_names(&hive).await;
    let before = hive.address.clone();
    hive.kill();

    let hive = Hive::start(dir.path()).await;
    for port in ["api", "registry"] {
        assert_eq!(hive.address[port], before[port], "clients keep this address");
    }
    assert_eq!(pod_names(&hive).await, names);
    until(
        "the page is served again",
        async || matches!(hive.get("web.localhost").await, Ok((200, page)) if page == "still here"),
    )
    .await;
    hive.rolled_out("web").await;
    assert_eq!(pod_names(&hive).await, names, "the same pods, not new ones");
    assert!(hive.stop());
    assert!(!dir.path().join("hive.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hive_killed_in_the_middle_of_a_rollout_finishes_it() {
    if !possible() {
        return;
    }
    let dir = directory();
    let mut hive = Hive::start(dir.path()).await;
    let (first, second) = (image::push(&hive, "version one").await, image::push(&hive, "version two").await);
    let _: Deployment = hive.create(deployment("web", 3, &first)).await;
    expose(&hive, "web").await;
    hive.rolled_out("web").await;
    let deployments: Api<Deployment> = hive.api();
    let update = json!({"spec": {"template": {"spec": {"containers": [{"name": "page", "image": second}]}}}});
    deployments.patch("web", &PatchParams::default(), &Patch::Strategic(update)).await.unwrap();
    for pods in [4, 3] {
        until("the rollout is on its way", async || hive.pods("app=web").await.len() >= pods).await;
        hive.kill();
        hive = Hive::start(dir.path()).await;
    }
    hive.rolled_out("web").await;
    until("only the new version is left", async || hive.pods("app=web").await.len() == 3).await;
    until(
        "it is served",
        async || matches!(hive.get("web.localhost").await, Ok((200, page)) if page == "version two"),
    )
    .await;
    assert!(hive.stop());
}

async fn pod_names(hive: &Hive) -> Vec<String> {
    let pods = hive.pods("app=web").await;
    let mut names: Vec<_> = pods.into_iter().filter_map(|pod| pod.metadata.uid).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hives_side_by_side_but_never_on_one_directory() {
    if !possible() {
        return;
    }
    let (one, two) = (directory(), directory());
    let (first, second) = (Hive::start(one.path()).await, Hive::start(two.path()).await);
    for hive in [&first, &second] {
        let image = image::push(hive, "a page").await;
        let _: Deployment = hive.create(deployment("web", 1, &image)).await;
        expose(hive, "web").await;
    }
    for hive in [&first, &second] {
        hive.rolled_out("web").await;
        until("the page is served", async || matches!(hive.get("web.localhost").await, Ok((200, _)))).await;
    }
    let refused = command(one.path()).stderr(std::process::Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(text.contains("is in use by another hive") && text.contains("stop it first"), "{text}");

    let taken = first.address["ingress"].as_str().and_then(|at| at.rsplit(':').next()).unwrap().to_owned();
    let third = directory();
    let refused = command(third.path())
        .args(["--http-port", &taken])
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.contains(&format!("port {taken}")) && text.contains("hint: another process holds it"),
        "{text}"
    );

    let memory: Value = first.address["pid"].clone();
    eprintln!("resident memory of a debug build: {}", resident(memory.as_u64().unwrap()));
    assert!(first.stop());
    assert!(second.stop());
}

fn resident(pid: u64) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
}
