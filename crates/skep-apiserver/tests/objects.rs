//! The life of an object through the in-process face.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use serde_json::{Value, json};
use skep_apiserver::{
    DeleteOptions, Kind, Patch, PatchOptions, Preconditions, Propagation, Resources, ResourcesConfig,
    WatchEvent,
};

fn resources() -> Resources {
    Resources::open(ResourcesConfig::default()).unwrap()
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"a": "1"}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
           "spec": {"nodeName": "hive", "containers": [{"name": "c", "image": "x"}]}})
}

#[tokio::test]
async fn creates_reads_and_refuses_twice() {
    let resources = resources();
    let made = resources.create(config_map("a"), "test").await.unwrap();
    assert!(made["metadata"]["uid"].is_string());
    assert!(made["metadata"]["creationTimestamp"].is_string());
    assert_eq!(resources.get(Kind::CONFIG_MAP, Some("default"), "a"), Some(made));
    let again = resources.create(config_map("a"), "test").await.unwrap_err();
    assert!(again.is_already_exists());
    assert_eq!(again.message, "configmaps \"a\" already exists");
}

#[tokio::test]
async fn a_missing_namespace_is_not_found() {
    let mut object = config_map("a");
    object["metadata"]["namespace"] = json!("nowhere");
    let status = resources().create(object, "test").await.unwrap_err();
    assert!(status.is_not_found());
    assert_eq!(status.message, "namespaces \"nowhere\" not found");
}

#[tokio::test]
async fn a_change_needs_the_version_it_was_made_from() {
    let resources = resources();
    let first = resources.create(config_map("a"), "test").await.unwrap();
    let mut change = (*first).clone();
    change["data"]["a"] = json!("2");
    let second = resources.update(change.clone(), "test").await.unwrap();
    assert_ne!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    let status = resources.update(change.clone(), "test").await.unwrap_err();
    assert!(status.is_conflict(), "{status}");
    change["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    resources.update(change, "test").await.unwrap();
}

#[tokio::test]
async fn a_write_that_changes_nothing_makes_no_version_and_no_event() {
    let resources = resources();
    let first = resources.create(config_map("a"), "test").await.unwrap();
    let mut watch = resources.watch(Kind::CONFIG_MAP, None);
    assert_eq!(watch.next().await, Some(WatchEvent::Added(first.clone())));
    let second = resources.update((*first).clone(), "test").await.unwrap();
    assert_eq!(first, second);
    let merge = Patch::Merge(json!({"data": {"a": "1"}}));
    resources.patch(Kind::CONFIG_MAP, Some("default"), "a", merge, PatchOptions::default()).await.unwrap();
    let other = resources.create(config_map("b"), "test").await.unwrap();
    assert_eq!(watch.next().await, Some(WatchEvent::Added(other)));
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let resources = resources();
    let mut object = pod("p");
    object["status"] = json!({"phase": "Running"});
    let made = resources.create(object, "test").await.unwrap();
    assert_ne!(made["status"]["phase"], "Running", "a create drops status");
    let mut change = (*made).clone();
    change["status"] = json!({"phase": "Running"});
    change["spec"]["nodeName"] = json!("elsewhere");
    let written = resources.update_status(change, "kubelet").await.unwrap();
    assert_eq!(written["status"]["phase"], "Running");
    assert_eq!(written["spec"]["nodeName"], "hive");
    assert_eq!(written["metadata"]["generation"], made["metadata"]["generation"]);
    let mut change = (*written).clone();
    change["status"]["phase"] = json!("Failed");
    let same = resources.update(change, "test").await.unwrap();
    assert_eq!(same["status"]["phase"], "Running");
}

#[tokio::test]
async fn a_pod_on_a_node_is_deleted_in_two_steps() {
    let resources = resources();
    let made = resources.create(pod("p"), "test").await.unwrap();
    let marked = resources.delete(Kind::POD, Some("default"), "p", DeleteOptions::default()).await.unwrap();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let longer = DeleteOptions { grace_seconds: Some(60), ..DeleteOptions::default() };
    let same = resources.delete(Kind::POD, Some("default"), "p", longer).await.unwrap();
    assert_eq!(same, marked, "a second delete never gives more time");
    let shorter = DeleteOptions { grace_seconds: Some(5), ..DeleteOptions::default() };
    let shortened = resources.delete(Kind::POD, Some("default"), "p", shorter).await.unwrap();
    assert_eq!(shortened["metadata"]["deletionGracePeriodSeconds"], 5);
    let other = Preconditions { uid: Some("another".to_owned()), resource_version: None };
    let wrong = DeleteOptions { grace_seconds: Some(0), preconditions: other, ..DeleteOptions::default() };
    assert!(resources.delete(Kind::POD, Some("default"), "p", wrong).await.unwrap_err().is_conflict());
    let own =
        Preconditions { uid: made["metadata"]["uid"].as_str().map(str::to_owned), resource_version: None };
    let now = DeleteOptions { grace_seconds: Some(0), preconditions: own, ..DeleteOptions::default() };
    resources.delete(Kind::POD, Some("default"), "p", now).await.unwrap();
    assert_eq!(resources.get(Kind::POD, Some("default"), "p"), None);
}

#[tokio::test]
async fn a_pod_without_a_node_goes_at_once() {
    let resources = resources();
    let mut object = pod("p");
    object["spec"].as_object_mut().unwrap().remove("nodeName");
    resources.create(object, "test").await.unwrap();
    resources.delete(Kind::POD, Some("default"), "p", DeleteOptions::default()).await.unwrap();
    assert_eq!(resources.get(Kind::POD, Some("default"), "p"), None);
}

#[tokio::test]
async fn the_last_finalizer_lets_go() {
    let resources = resources();
    resources.create(config_map("a"), "test").await.unwrap();
    let foreground = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    let marked = resources.delete(Kind::CONFIG_MAP, Some("default"), "a", foreground).await.unwrap();
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let mut more = (*marked).clone();
    more["metadata"]["finalizers"] = json!(["foregroundDeletion", "example.com/another"]);
    assert_eq!(resources.update(more, "test").await.unwrap_err().code, 422);
    let mut watch = resources.watch(Kind::CONFIG_MAP, None);
    watch.next().await;
    let mut done = (*marked).clone();
    done["metadata"]["finalizers"] = json!([]);
    resources.update(done, "gc").await.unwrap();
    assert_eq!(resources.get(Kind::CONFIG_MAP, Some("default"), "a"), None);
    assert!(matches!(watch.next().await, Some(WatchEvent::Deleted(_))));
}

#[tokio::test]
async fn a_namespace_waits_for_its_contents() {
    let resources = resources();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "app"}});
    resources.create(namespace, "test").await.unwrap();
    resources.delete(Kind::NAMESPACE, None, "app", DeleteOptions::default()).await.unwrap();
    let live = resources.get(Kind::NAMESPACE, None, "app").unwrap();
    assert_eq!(live["status"]["phase"], "Terminating");
    let mut object = config_map("late");
    object["metadata"]["namespace"] = json!("app");
    let status = resources.create(object, "test").await.unwrap_err();
    assert_eq!((status.code, status.reason), (403, "Forbidden"));
    resources.finalize_namespace("app").await.unwrap();
    assert_eq!(resources.get(Kind::NAMESPACE, None, "app"), None);
}

#[tokio::test]
async fn names_are_made_up_from_a_prefix() {
    let resources = resources();
    let mut object = config_map("");
    object["metadata"] = json!({"generateName": "web-", "namespace": "default"});
    let made = resources.create(object, "test").await.unwrap();
    let name = made["metadata"]["name"].as_str().unwrap();
    assert_eq!((name.len(), &name[..4]), (9, "web-"));
    let none = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default"}});
    let status = resources.create(none, "test").await.unwrap_err();
    assert_eq!(
        status.message,
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
}

#[tokio::test]
async fn a_kind_without_a_controller_is_refused_with_the_reason() {
    let object = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "bees.example.com"}});
    let status = resources().create(object, "test").await.unwrap_err();
    assert_eq!(status.code, 405);
    assert!(status.message.contains("no custom resources"), "{status}");
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let resources = resources();
    resources.create(config_map("a"), "test").await.unwrap();
    let options = PatchOptions { dry_run: true, ..PatchOptions::default() };
    let merge = Patch::Merge(json!({"data": {"b": "2"}}));
    let shown = resources.patch(Kind::CONFIG_MAP, Some("default"), "a", merge, options).await.unwrap();
    assert_eq!(shown["data"]["b"], "2");
    assert_eq!(resources.get(Kind::CONFIG_MAP, Some("default"), "a").unwrap()["data"], json!({"a": "1"}));
}

#[tokio::test]
async fn a_watcher_that_fell_behind_catches_up_without_gaps() {
    let resources = resources();
    resources.create(config_map("changed"), "test").await.unwrap();
    resources.create(config_map("gone"), "test").await.unwrap();
    resources.create(config_map("same"), "test").await.unwrap();
    let mut watch = resources.watch(Kind::CONFIG_MAP, None);
    for _ in 0..3 {
        assert!(matches!(watch.next().await, Some(WatchEvent::Added(_))));
    }
    // More changes than are kept.
    for n in 0..9000 {
        let merge = Patch::Merge(json!({"data": {"a": n.to_string()}}));
        resources
            .patch(Kind::CONFIG_MAP, Some("default"), "changed", merge, PatchOptions::default())
            .await
            .unwrap();
        if n == 10 {
            resources
                .delete(Kind::CONFIG_MAP, Some("default"), "gone", DeleteOptions::default())
                .await
                .unwrap();
            resources.create(config_map("new"), "test").await.unwrap();
        }
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = watch.next().await.unwrap();
        let name = event.object()["metadata"]["name"].as_str().unwrap().to_owned();
        seen.push(match event {
            WatchEvent::Added(_) => format!("+{name}"),
            WatchEvent::Modified(object) => format!("~{name}={}", object["data"]["a"].as_str().unwrap()),
            WatchEvent::Deleted(_) => format!("-{name}"),
        });
    }
    seen.sort();
    assert_eq!(seen, ["+new", "-gone", "~changed=8999"]);
}

#[tokio::test]
async fn concurrent_writers_lose_nothing() {
    let resources = resources();
    resources.create(config_map("a"), "test").await.unwrap();
    let writers = (0..50).map(|n| {
        let resources = resources.clone();
        tokio::spawn(async move {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {format!("k{n}"): "1"}});
            let options = PatchOptions { manager: format!("m{n}"), ..PatchOptions::default() };
            resources.patch(Kind::CONFIG_MAP, Some("default"), "a", Patch::Apply(object), options).await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let live = resources.get(Kind::CONFIG_MAP, Some("default"), "a").unwrap();
    assert_eq!(live["data"].as_object().unwrap().len(), 51);
    assert_eq!(live["metadata"]["managedFields"].as_array().unwrap().len(), 51);
}
