//! What a hive does on a machine that allows less.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::hive::{Hive, command, directory, possible, until};
use crate::image;
use crate::rolling::{deployment, expose};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_namespaces_the_api_works_and_the_node_says_why() {
    let dir = directory();
    let mut start = command(dir.path());
    start.args(["--level", "none"]);
    let hive = Hive::start_with(start).await;
    let nodes: Api<Node> = Api::all(hive.client.clone());
    let node = nodes.list(&ListParams::default()).await.unwrap().items.remove(0);
    let ready = node.status.unwrap().conditions.unwrap().remove(0);
    assert_eq!(ready.status, "False");
    assert!(ready.message.as_ref().unwrap().contains("asked for by --level none"), "{ready:?}");
    let _: Deployment = hive.create(deployment("web", 1, "docker.io/library/none:v1")).await;
    until("the pod is told why it waits", async || {
        let pods = hive.pods("app=web").await;
        let conditions =
            pods.first().and_then(|pod| pod.status.as_ref()?.conditions.clone()).unwrap_or_default();
        conditions.iter().any(|one| {
            one.type_ == "PodScheduled"
                && one.reason.as_deref() == Some("Unschedulable")
                && one.message.as_ref().is_some_and(|message| message.contains("asked for by --level none"))
        })
    })
    .await;
    assert!(hive.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rootless_pods_have_loopback_addresses_and_names_by_etc_hosts() {
    if !possible() {
        return;
    }
    let dir = directory();
    let mut start = command(dir.path());
    start.args(["--level", "rootless"]);
    let hive = Hive::start_with(start).await;
    let image = image::push(&hive, "a rootless page").await;
    let mut web = deployment("web", 2, &image);
    let container = &mut web["spec"]["template"]["spec"]["containers"][0];
    // On the host's network each pod binds its own address.
    container["env"] = json!([{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    container["command"] =
        json!(["sh", "-c", "trap 'kill $!; exit 0' TERM; httpd -f -p $POD_IP:8000 -h /www & wait"]);
    let _: Deployment = hive.create(web).await;
    expose(&hive, "web").await;
    hive.rolled_out("web").await;
    until(
        "the page is served",
        async || matches!(hive.get("web.localhost").await, Ok((200, page)) if page == "a rootless page"),
    )
    .await;
    let addresses: Vec<_> =
        hive.pods("app=web").await.into_iter().filter_map(|pod| pod.status?.pod_ip).collect();
    assert!(addresses.len() == 2 && addresses.iter().all(|ip| ip.starts_with("127.")), "{addresses:?}");
    let job: k8s_openapi::api::batch::v1::Job = hive
        .create(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "caller"},
            "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [
                {"name": "run", "image": image, "command": ["wget", "-q", "-O", "-", "http://web/"]}]}}}}))
        .await;
    let jobs: Api<k8s_openapi::api::batch::v1::Job> = hive.api();
    until("the caller got the page", async || {
        let found = jobs.get(job.metadata.name.as_ref().unwrap()).await.unwrap();
        found.status.and_then(|status| status.succeeded) == Some(1)
    })
    .await;
    assert!(hive.stop());
}
