//! Garbage collection, and what survives a restart.

use std::{
    collections::HashSet,
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::json;
use skep_model::Digest;
use skep_registryd::{Collected, OpenError, Registry};

use crate::client::{INDEX, MANIFEST, Served, full, image};

const DAY: Duration = Duration::from_secs(86_400);

/// Makes everything in the registry two days old.
fn age(dir: &Path) {
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            age(&path);
        } else {
            let file = File::options().append(true).open(&path).expect("writable");
            file.set_modified(SystemTime::now() - 2 * DAY).expect("writable");
        }
    }
}

#[tokio::test]
async fn what_is_kept_tagged_young_or_named_stays() {
    let served = Served::start().await;
    let registry = &served.registry;
    let (tagged, tagged_layer) = served.push_image("app", "v1", "tagged").await;
    let (kept, kept_layer) = served.push_image("app", "v2", "kept").await;
    let (lost, lost_layer) = served.push_image("app", "v3", "lost").await;
    let (child, child_layer) = served.push_image("app", "v4", "child").await;
    let index = json!({ "schemaVersion": 2, "manifests": [{ "mediaType": MANIFEST, "digest": child.to_string(), "size": 1 }] });
    assert_eq!(served.push_manifest("app", "all", INDEX, &index).await.status, 201);
    let signature =
        image("kept", Some(json!({ "mediaType": MANIFEST, "digest": kept.to_string(), "size": 1 })));
    let signature_digest = Digest::of(signature.to_string().as_bytes());
    assert_eq!(
        served.push_manifest("app", &signature_digest.to_string(), MANIFEST, &signature).await.status,
        201
    );
    for tag in ["v2", "v3", "v4"] {
        assert!(registry.untag("app", tag).expect("writable"));
    }
    let stray = served.push_blob("app", b"stray").await;
    let keep = HashSet::from([kept]);
    assert_eq!(registry.collect(&keep, DAY).await.expect("readable"), Collected::default(), "all is young");

    age(registry.dir());
    let fresh = served.push_blob("app", b"fresh").await;
    // Asked for just now: someone is about to name it in a manifest.
    let asked = served.push_blob("app", b"asked").await;
    age(registry.dir());
    let touched = [fresh, asked];
    for digest in touched {
        assert_eq!(served.head(&format!("/v2/app/blobs/{digest}")).await.status, 200);
    }
    let collected = registry.collect(&keep, DAY).await.expect("readable");
    assert_eq!(
        (collected.manifests, collected.blobs),
        (1, 3),
        "the lost manifest, its layer and the stray blob"
    );
    assert!(collected.bytes > 0);
    for digest in [tagged, tagged_layer, kept, kept_layer, child, child_layer, signature_digest, fresh, asked]
    {
        assert!(registry.blob_path(&digest).is_some(), "{digest}");
    }
    for digest in [lost, lost_layer, stray] {
        assert!(registry.blob_path(&digest).is_none(), "{digest}");
    }
    assert_eq!(served.get(&format!("/v2/app/manifests/{lost}")).await.status, 404);
    assert_eq!(served.head(&format!("/v2/app/blobs/{lost_layer}")).await.status, 404);
    // What was collected can be pushed again.
    served.push_image("app", "v3", "lost").await;
    served.stop().await;
}

#[tokio::test]
async fn tags_expire_unless_kept_or_used() {
    let served = Served::start().await;
    let registry = &served.registry;
    let (kept, _) = served.push_image("app", "kept", "kept").await;
    served.push_image("app", "old", "old").await;
    served.push_image("app", "pulled", "pulled").await;
    age(registry.dir());
    assert_eq!(served.get("/v2/app/manifests/pulled").await.status, 200);
    assert_eq!(registry.expire_tags(&HashSet::from([kept]), DAY).await.expect("readable"), 1);
    assert_eq!(registry.tags("app").expect("readable"), ["kept", "pulled"]);
    let collected = registry.collect(&HashSet::from([kept]), DAY).await.expect("readable");
    assert_eq!((collected.manifests, collected.blobs), (1, 2));
    served.stop().await;
}

#[tokio::test]
async fn abandoned_uploads_go_and_a_restart_finds_what_was_pushed() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = Served::start_in(dir.path()).await;
    let (digest, layer) = served.push_image("admin/app", "v1", "layer").await;
    let upload = served.begin("admin/app").await;
    served.send(http::Method::PATCH, &upload, &[], full("half")).await;
    assert_eq!(served.registry.collect(&HashSet::new(), DAY).await.expect("readable").uploads, 0);
    assert_eq!(served.registry.collect(&HashSet::new(), Duration::ZERO).await.expect("readable").uploads, 1);
    assert_eq!(served.get(&upload).await.code(), "404 BLOB_UPLOAD_UNKNOWN");
    let upload = served.begin("admin/app").await;
    served.send(http::Method::PATCH, &upload, &[], full("half")).await;
    let busy = Registry::open(dir.path()).expect_err("one at a time");
    assert!(matches!(busy, OpenError::Busy(_)), "{busy}");
    served.stop().await;

    // As a killed process leaves it.
    fs::write(dir.path().join("uploads/left-over"), "half").expect("writable");
    let registry = Registry::open(dir.path()).expect("free again");
    assert_eq!(fs::read_dir(dir.path().join("uploads")).expect("readable").count(), 0);
    let manifest = registry.manifest("admin/app", "v1").expect("readable").expect("there");
    assert_eq!(manifest.digest, digest);
    assert!(registry.blob_path(&layer).is_some());
    drop(registry);
    fs::write(dir.path().join("format"), "2\n").expect("writable");
    let newer = Registry::open(dir.path()).expect_err("another format");
    assert!(newer.to_string().contains("has format \"2\", expected \"1\""), "{newer}");
}
