//! What a user is told when something can't work.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::hive::{Hive, directory, possible, until};
use crate::image;
use crate::rolling::{deployment, expose};

fn waiting(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    Some((waiting.reason.clone()?, waiting.message.clone().unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_image_and_a_missing_config_map_are_told_and_heal() {
    if !possible() {
        return;
    }
    let dir = directory();
    let hive = Hive::start(dir.path()).await;
    let missing = format!("{}/test/nothing:v1", hive.address["registry"].as_str().unwrap());
    let _: Deployment = hive.create(deployment("lost", 1, &missing)).await;
    until("the pull is told to have failed", async || {
        hive.pods("app=lost").await.first().and_then(waiting).is_some_and(|(reason, message)| {
            ["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str())
                && message.contains("manifest unknown")
        })
    })
    .await;
    let events: Api<Event> = hive.api();
    until("an event tells of it", async || {
        let found = events.list(&ListParams::default()).await.unwrap().items;
        found.iter().any(|event| {
            event.reason.as_deref() == Some("Failed") && event.type_.as_deref() == Some("Warning")
        })
    })
    .await;

    let image = image::push(&hive, "page").await;
    let mut needy = deployment("needy", 1, &image);
    needy["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"configMapRef": {"name": "absent"}}]);
    let _: Deployment = hive.create(needy).await;
    until("the missing ConfigMap is named", async || {
        hive.pods("app=needy").await.first().and_then(waiting).is_some_and(|(reason, message)| {
            reason == "CreateContainerConfigError" && message.contains("absent")
        })
    })
    .await;
    let _: ConfigMap =
        hive.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "absent"}, "data": {"A": "b"}})).await;
    hive.rolled_out("needy").await;
    assert!(hive.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashing_update_leaves_the_old_version_serving() {
    if !possible() {
        return;
    }
    let dir = directory();
    let hive = Hive::start(dir.path()).await;
    let image = image::push(&hive, "good").await;
    let _: Deployment = hive.create(deployment("web", 2, &image)).await;
    expose(&hive, "web").await;
    hive.rolled_out("web").await;
    until("the page is served", async || matches!(hive.get("web.localhost").await, Ok((200, _)))).await;
    let crash = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "page", "command": ["sh", "-c", "echo last words; exit 7"]}]}}}});
    let deployments: Api<Deployment> = hive.api();
    deployments.patch("web", &PatchParams::default(), &Patch::Strategic(crash)).await.unwrap();
    until("the new pod crashes again and again", async || {
        assert!(matches!(hive.get("web.localhost").await, Ok((200, _))), "the old version serves throughout");
        hive.pods("app=web").await.iter().any(|pod| {
            let status = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
            let last = status.and_then(|status| status.last_state.as_ref()?.terminated.as_ref());
            status.is_some_and(|status| status.restart_count >= 2)
                && last.is_some_and(|last| last.exit_code == 7)
        })
    })
    .await;
    // Undone as kubectl does it: the old template comes back, and its ReplicaSet with it.
    let undo = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/command",
        "value": deployment("web", 2, &image)["spec"]["template"]["spec"]["containers"][0]["command"]}]);
    let undo: Patch<()> = Patch::Json(serde_json::from_value(undo).unwrap());
    deployments.patch("web", &PatchParams::default(), &undo).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), hive.rolled_out("web")).await.unwrap();
    assert!(hive.stop());
}
