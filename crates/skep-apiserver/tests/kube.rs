//! kube-rs can't tell the difference.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use serde_json::json;
use support::Server;

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"n": name}}, "data": {"a": value}}))
        .unwrap()
}

#[tokio::test]
async fn a_watcher_sees_everything_in_both_ways_of_listing() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = Box::pin(watcher::watcher(api.clone(), config));
        let mut seen = Vec::new();
        while let Some(event) = events.try_next().await.unwrap() {
            match event {
                Event::Init => {}
                Event::InitApply(object) => seen.push(object.metadata.name.unwrap()),
                Event::InitDone => {
                    assert_eq!(seen, ["a"]);
                    api.create(&PostParams::default(), &config_map("late", "1")).await.unwrap();
                }
                Event::Apply(object) => {
                    assert_eq!(object.metadata.name.as_deref(), Some("late"));
                    api.delete("late", &DeleteParams::default()).await.unwrap();
                }
                Event::Delete(_) => break,
            }
        }
    }
}

#[tokio::test]
async fn apply_conflicts_as_on_a_real_cluster() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    let wanted = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": value}});
    let first = api.patch("a", &PatchParams::apply("skep"), &Patch::Apply(wanted("1"))).await.unwrap();
    let again = api.patch("a", &PatchParams::apply("skep"), &Patch::Apply(wanted("1"))).await.unwrap();
    assert_eq!(first.metadata.resource_version, again.metadata.resource_version);
    let error = api.patch("a", &PatchParams::apply("other"), &Patch::Apply(wanted("2"))).await.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.details.unwrap().causes[0].field, ".data.a");
    let forced =
        api.patch("a", &PatchParams::apply("other").force(), &Patch::Apply(wanted("2"))).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
}

#[tokio::test]
async fn a_lease_is_taken_by_one() {
    let server = Server::start().await;
    let api: Api<Lease> = Api::namespaced(server.client().await, "default");
    let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "lock"}, "spec": {
        "holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}}))
    .unwrap();
    let made = api.create(&PostParams::default(), &lease).await.unwrap();
    assert!(api.create(&PostParams::default(), &lease).await.is_err());
    let mut mine = made.clone();
    mine.spec.as_mut().unwrap().holder_identity = Some("b".to_owned());
    mine.metadata.resource_version = None;
    let error = api.replace("lock", &PostParams::default(), &mine).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 422), "a lock is never taken blindly");
    mine.metadata.resource_version = made.metadata.resource_version.clone();
    api.replace("lock", &PostParams::default(), &mine).await.unwrap();
    let error = api.replace("lock", &PostParams::default(), &mine).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 409));
}

#[tokio::test]
async fn lists_go_in_pages_of_one_moment() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    for name in ["a", "b", "c", "d", "e"] {
        api.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    api.delete("c", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &config_map("bb", "1")).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = api.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    let names: Vec<_> = second.items.iter().filter_map(|o| o.metadata.name.as_deref()).collect();
    assert_eq!(names, ["c", "d", "e"], "the pages show one moment");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    let chosen = api.list(&ListParams::default().labels("n in (a, e)")).await.unwrap();
    assert_eq!(chosen.items.len(), 2);
}

/// As on a real cluster: a client that needs an item's kind and does not remember what it asked for fails here too.
#[tokio::test]
async fn items_of_a_list_leave_their_kind_to_the_list() {
    let server = Server::start().await;
    let client = server.client().await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let request = http::Request::get("/api/v1/namespaces/default/configmaps").body(Vec::new()).unwrap();
    let list: serde_json::Value = client.request(request).await.unwrap();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(list["items"][0]["data"], json!({"a": "1"}));
    assert!(list["items"][0].get("kind").is_none() && list["items"][0].get("apiVersion").is_none(), "{list}");
}

#[tokio::test]
async fn a_selector_turns_changes_into_additions_and_deletions() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    let made = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let version = made.metadata.resource_version.unwrap();
    let params = WatchParams::default().labels("n=x");
    let mut events = api.watch(&params, &version).await.unwrap().boxed();
    for (label, added) in [("x", true), ("y", false)] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"n": label}}}));
        api.patch("a", &PatchParams::default(), &patch).await.unwrap();
        let event = events.try_next().await.unwrap().unwrap();
        assert!(if added {
            matches!(event, WatchEvent::Added(_))
        } else {
            matches!(event, WatchEvent::Deleted(_))
        });
    }
}

#[tokio::test]
async fn a_version_that_never_was_is_expired() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    let mut events = api.watch(&WatchParams::default(), "999999").await.unwrap().boxed();
    let event = events.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Error(status) if status.code == 410 && status.reason == "Expired"));
}

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let server = Server::start().await;
    let mut kubeconfig = kube::config::Kubeconfig::read_from(server.api.kubeconfig()).unwrap();
    kubeconfig.auth_infos[0].auth_info.as_mut().unwrap().token = Some("guess".to_owned().into());
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let nodes: Api<Node> = Api::all(kube::Client::try_from(config).unwrap());
    let error = nodes.list(&ListParams::default()).await.unwrap_err();
    assert!(
        matches!(error, kube::Error::Api(status) if status.code == 401 && status.reason == "Unauthorized")
    );
}

#[tokio::test]
async fn the_server_stops_although_somebody_watches() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    let mut events = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(5), server.api.shutdown());
    let (stopped, last) = tokio::join!(stopped, events.next());
    assert!(stopped.is_ok());
    assert!(last.is_none());
}

#[tokio::test]
async fn discovery_works_in_both_ways() {
    let server = Server::start().await;
    let client = server.client().await;
    let plain = kube::Discovery::new(client.clone()).run().await.unwrap();
    let aggregated = kube::Discovery::new(client).run_aggregated().await.unwrap();
    for discovery in [plain, aggregated] {
        let apps = discovery.get("apps").unwrap();
        let (deployment, capabilities) = apps.recommended_kind("Deployment").unwrap();
        assert_eq!(deployment.plural, "deployments");
        let parts: Vec<_> = capabilities.subresources.iter().map(|(part, _)| part.plural.as_str()).collect();
        assert!(parts.iter().any(|part| part.ends_with("scale")), "{parts:?}");
        assert!(capabilities.supports_operation(kube::discovery::verbs::WATCH));
    }
}

#[tokio::test]
async fn metadata_alone_can_be_asked_for() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert_eq!(api.get_metadata("a").await.unwrap().metadata.name.as_deref(), Some("a"));
    assert_eq!(api.list_metadata(&ListParams::default()).await.unwrap().items.len(), 1);
    let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(server.client().await, "default");
    let mut events = Box::pin(watcher::watcher(metadata, watcher::Config::default().streaming_lists()));
    let first = events.try_next().await.unwrap().unwrap();
    assert!(matches!(first, Event::Init));
    let second = events.try_next().await.unwrap().unwrap();
    assert!(matches!(second, Event::InitApply(object) if object.metadata.name.as_deref() == Some("a")));
    assert!(matches!(events.try_next().await.unwrap().unwrap(), Event::InitDone));
}

#[tokio::test]
async fn a_dry_run_shows_and_writes_nothing() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let shown = api.create(&dry, &config_map("a", "1")).await.unwrap();
    assert_eq!(shown.metadata.name.as_deref(), Some("a"));
    assert!(api.get_opt("a").await.unwrap().is_none());
    let made = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let apply = PatchParams { dry_run: true, ..PatchParams::apply("kube").force() };
    let wanted =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "2"}});
    assert_eq!(api.patch("a", &apply, &Patch::Apply(wanted)).await.unwrap().data.unwrap()["a"], "2");
    api.delete("a", &DeleteParams::default().dry_run()).await.unwrap();
    assert_eq!(api.get("a").await.unwrap(), made);
}

#[tokio::test]
async fn the_stream_of_one_watch_goes_on_from_a_version() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    let first = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    api.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let version = first.metadata.resource_version.unwrap();
    let params = WatchParams::default().timeout(1);
    let events: Vec<_> = api.watch(&params, &version).await.unwrap().try_collect().await.unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|event| match event {
            WatchEvent::Added(object) => format!("+{}", object.metadata.name.as_deref().unwrap()),
            WatchEvent::Deleted(object) => {
                assert_ne!(
                    object.metadata.resource_version.as_deref(),
                    Some(version.as_str()),
                    "a deletion has its own version"
                );
                format!("-{}", object.metadata.name.as_deref().unwrap())
            }
            WatchEvent::Bookmark(_) => "bookmark".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, ["+b", "-a", "bookmark"], "no replay of what was known, and a last word at the end");
}

#[tokio::test]
async fn what_is_too_old_is_expired() {
    let server = Server::start().await;
    let api: Api<ConfigMap> = Api::namespaced(server.client().await, "default");
    let first = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    api.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    let page = api.list(&ListParams::default().limit(1)).await.unwrap();
    let kind = skep_apiserver::Kind::CONFIG_MAP;
    for n in 0..9000 {
        let patch = skep_apiserver::Patch::Merge(json!({"data": {"a": n.to_string()}}));
        server.resources.patch(kind, Some("default"), "a", patch, Default::default()).await.unwrap();
    }
    let version = first.metadata.resource_version.unwrap();
    let mut events = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    let event = events.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Error(status) if status.code == 410 && status.reason == "Expired"));
    let params = ListParams::default().limit(1).continue_token(&page.metadata.continue_.unwrap());
    let error = api.list(&params).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 410 && status.reason == "Expired"));
}
