//! How long it takes from nothing to an answer.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use skep_apiserver::{ApiServer, Resources, ResourcesConfig, ServeConfig};

#[tokio::test]
async fn it_is_ready_at_once_with_hundreds_of_objects() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        ResourcesConfig { file: Some(folder.path().join("hive.redb")), ..ResourcesConfig::default() };
    let resources = Resources::open(config.clone()).unwrap();
    let writes = (0..400).map(|n| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{n}"), "namespace": "default"},
            "data": {"text": "x".repeat(1000)}});
        let resources = resources.clone();
        async move { resources.create(object, "test").await.unwrap() }
    });
    futures::future::join_all(writes).await;
    drop(resources);
    let start = Instant::now();
    let resources = Resources::open(config).unwrap();
    let opened = start.elapsed();
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = ServeConfig { listen, state_dir: folder.path().to_owned(), names: Vec::new() };
    let api = ApiServer::serve(config, resources, Arc::new(support::Echo)).await.unwrap();
    let took = start.elapsed();
    eprintln!("ready after {took:?}, the store after {opened:?}");
    // Far more than it takes, for machines that are busy with something else.
    assert!(took < Duration::from_secs(2), "{took:?}");
    api.shutdown().await;
}
