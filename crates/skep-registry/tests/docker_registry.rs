//! Push and pull against Debian's docker-registry, with skopeo reading what was pushed.

#[path = "support/cut.rs"]
mod cut;
mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use skep_model::{Digest, ImageRef, Platform};
use skep_registry::{
    Blob, Client, ClientConfig, Descriptor, Login, MediaType, OnBytes, Package, RegistryError, Retry,
};
use support::{ACCOUNT, DockerRegistry, skopeo_pulls};

fn client() -> Client {
    Client::new(quick()).expect("a client")
}

fn quick() -> ClientConfig {
    ClientConfig {
        retry: Retry { first: Duration::from_millis(5), ..Retry::default() },
        ..ClientConfig::default()
    }
}

fn image(address: &str, name: &str) -> ImageRef {
    format!("{address}/{name}").parse().expect("an image")
}

/// An image of these layers, which need not be tars for a registry.
fn package(dir: &Path, layers: &[Vec<u8>]) -> Package {
    let blobs: Vec<Blob> = layers
        .iter()
        .map(|bytes| {
            let digest = Digest::of(bytes);
            let path = dir.join(digest.hex());
            std::fs::write(&path, bytes).expect("a layer");
            let descriptor = descriptor(MediaType::LAYER, bytes);
            Blob { descriptor, path, mount_from: None }
        })
        .collect();
    let diff_ids: Vec<Digest> = blobs.iter().map(|blob| blob.descriptor.digest).collect();
    let config = serde_json::to_vec(&json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))
    .expect("json");
    let layers: Vec<&Descriptor> = blobs.iter().map(|blob| &blob.descriptor).collect();
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2, "mediaType": MediaType::MANIFEST,
        "config": descriptor(MediaType::CONFIG, &config), "layers": layers,
    }))
    .expect("json");
    Package {
        digest: Digest::of(&manifest),
        manifest: manifest.into(),
        media_type: MediaType::MANIFEST.to_owned(),
        config: config.into(),
        blobs,
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations: Default::default(),
        platform: None,
    }
}

/// Bytes that no compressor on the way could make smaller.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed * 2 + 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(len)
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_registry_lacks_is_sent() {
    let registry = DockerRegistry::open();
    let dir = tempfile::tempdir().expect("a folder");
    let client = client();
    let app = image(&registry.address, "team/app:v1");
    let libraries = noise(3 << 20, 1);
    let first = package(dir.path(), &[libraries.clone(), noise(1 << 20, 2)]);
    let last = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let seen = last.clone();
    let on_bytes = OnBytes::new(move |sent, total| {
        seen.0.store(sent, Ordering::SeqCst);
        seen.1.store(total, Ordering::SeqCst);
    });

    let pushed = client.push(&first, &app, &["extra".to_owned()], &on_bytes).await.expect("pushed");
    let all = (4 << 20) + first.config.len() as u64;
    assert_eq!((pushed.digest, pushed.bytes_sent), (first.digest, all));
    assert_eq!(last.1.load(Ordering::SeqCst), all);
    for tag in ["v1", "extra"] {
        let found = client.has_manifest(&app.tagged(tag)).await.expect("asked");
        assert_eq!(found, Some(first.digest), "{tag}");
    }

    let again = client.push(&first, &app, &[], &OnBytes::nowhere()).await.expect("pushed");
    assert_eq!(again.bytes_sent, 0);

    let second = package(dir.path(), &[libraries, noise(1 << 20, 3)]);
    let changed = client.push(&second, &app.tagged("v2"), &[], &OnBytes::nowhere()).await.expect("pushed");
    assert_eq!(changed.bytes_sent, (1 << 20) + second.config.len() as u64);

    let folder = tempfile::tempdir().expect("a folder");
    skopeo_pulls(&registry.address, "team/app:v2", folder.path());
    for blob in &second.blobs {
        let read = std::fs::read(folder.path().join(blob.descriptor.digest.hex())).expect("skopeo's copy");
        assert_eq!(Digest::of(&read), blob.descriptor.digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_another_repository_is_mounted() {
    let registry = DockerRegistry::open();
    let dir = tempfile::tempdir().expect("a folder");
    let client = client();
    let mut package = package(dir.path(), &[noise(1 << 20, 5)]);
    client
        .push(&package, &image(&registry.address, "base:1"), &[], &OnBytes::nowhere())
        .await
        .expect("pushed");
    package.blobs[0].mount_from = Some("base".to_owned());
    let pushed = client
        .push(&package, &image(&registry.address, "team/app:1"), &[], &OnBytes::nowhere())
        .await
        .expect("pushed");
    assert_eq!(pushed.bytes_sent, package.config.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_is_tried_again() {
    let registry = DockerRegistry::open();
    let (address, cuts_left) = cut::cutting_proxy(registry.address.clone(), 2, 1 << 20).await;
    let dir = tempfile::tempdir().expect("a folder");
    let package = package(dir.path(), &[noise(6 << 20, 7), noise(5 << 20, 8)]);
    let pushed = client()
        .push(&package, &image(&address, "app:v1"), &[], &OnBytes::nowhere())
        .await
        .expect("pushed in spite of it");
    assert_eq!(cuts_left.load(Ordering::SeqCst), 0, "both cuts were made");
    assert_eq!(pushed.bytes_sent, (11 << 20) + package.config.len() as u64);
    let folder = tempfile::tempdir().expect("a folder");
    skopeo_pulls(&registry.address, "app:v1", folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_blobs_go_in_pieces_and_go_on_after_a_break() {
    let registry = DockerRegistry::open();
    let (address, cuts_left) = cut::cutting_proxy(registry.address.clone(), 1, 3 << 20).await;
    let dir = tempfile::tempdir().expect("a folder");
    let package = package(dir.path(), &[noise((5 << 20) + 17, 9)]);
    let client = Client::new(ClientConfig { piece: 1 << 20, ..quick() }).expect("a client");
    client
        .push(&package, &image(&address, "app:v1"), &[], &OnBytes::nowhere())
        .await
        .expect("pushed in spite of it");
    assert_eq!(cuts_left.load(Ordering::SeqCst), 0, "the cut was made");
    let stored = std::fs::read(registry.blob_file(&package.blobs[0].descriptor.digest.hex()))
        .expect("the registry's file");
    assert_eq!(Digest::of(&stored), package.blobs[0].descriptor.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_login() {
    let registry = DockerRegistry::guarded();
    let dir = tempfile::tempdir().expect("a folder");
    let package = package(dir.path(), &[noise(1000, 11)]);
    let app = image(&registry.address, "app:v1");

    let error =
        client().push(&package, &app, &[], &OnBytes::nowhere()).await.expect_err("nobody is logged in");
    assert!(matches!(&error, RegistryError::Denied { account: None, status: 401, .. }), "{error:?}");
    assert!(error.hint().expect("a hint").contains("registry.username"));

    let with = |password: &str| {
        let login = Login { username: ACCOUNT.0.to_owned(), password: password.to_owned() };
        Client::new(ClientConfig { logins: [(registry.address.clone(), login)].into(), ..quick() })
            .expect("a client")
    };
    let error =
        with("wrong").push(&package, &app, &[], &OnBytes::nowhere()).await.expect_err("a wrong password");
    assert!(
        matches!(&error, RegistryError::Denied { account: Some(account), .. } if account == "ali"),
        "{error:?}"
    );
    assert!(!format!("{error:?} {error}").contains("wrong"));

    with(ACCOUNT.1).push(&package, &app, &[], &OnBytes::nowhere()).await.expect("the right password");
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_the_platform_of_an_index() {
    let registry = DockerRegistry::open();
    let dir = tempfile::tempdir().expect("a folder");
    let client = client();
    let app = image(&registry.address, "app:both");
    let ours = package(dir.path(), &[noise(70_000, 13), noise(10, 14)]);
    client.push(&ours, &app.tagged("amd64"), &[], &OnBytes::nowhere()).await.expect("pushed");
    let mut entry = serde_json::to_value(ours.descriptor()).expect("json");
    entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let mut attestation = entry.clone();
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2, "mediaType": MediaType::INDEX, "manifests": [attestation, entry],
    }))
    .expect("json");
    let answer = reqwest::Client::new()
        .put(format!("http://{}/v2/app/manifests/both", registry.address))
        .header("content-type", MediaType::INDEX)
        .body(index.clone())
        .send()
        .await
        .expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");

    let amd64: Platform = "linux/amd64".parse().expect("a platform");
    let blobs = dir.path().join("blobs");
    let (one, two) =
        tokio::join!(client.pull_image(&app, &amd64, &blobs), client.pull_image(&app, &amd64, &blobs),);
    let pulled = one.expect("pulled");
    assert_eq!(pulled, two.expect("pulled at the same time"));
    assert_eq!((pulled.digest, pulled.manifest_digest), (Digest::of(&index), ours.digest));
    assert_eq!(pulled.config["config"]["Cmd"], json!(["/app"]));
    for (layer, blob) in pulled.layers.iter().zip(&ours.blobs) {
        assert_eq!(layer.digest, blob.descriptor.digest);
        assert_eq!(Digest::of(&std::fs::read(&layer.path).expect("pulled")), layer.digest);
        assert_eq!(layer.path, blobs.join("sha256").join(layer.digest.hex()));
    }
    let files = std::fs::read_dir(blobs.join("sha256")).expect("a folder").count();
    assert_eq!(files, 2, "no part of a blob is left behind");

    let arm64: Platform = "linux/arm64".parse().expect("a platform");
    let error = client.resolve(&app, &arm64).await.expect_err("there is none");
    assert_eq!(error.to_string(), format!("{app} is not built for linux/arm64: it is for linux/amd64"));
    let error =
        client.pull_image(&app.tagged("amd64"), &arm64, &blobs).await.expect_err("its config says so");
    assert!(matches!(error, RegistryError::NoSuchPlatform { .. }), "{error:?}");

    let retagged = client.tag(&app.pinned(ours.digest), "kept").await.expect("tagged");
    assert_eq!(client.has_manifest(&app.tagged("kept")).await.expect("asked"), Some(retagged));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_damaged() {
    let registry = DockerRegistry::open();
    let dir = tempfile::tempdir().expect("a folder");
    let client = client();
    let app = image(&registry.address, "app:v1");
    assert_eq!(client.has_manifest(&app).await.expect("asked"), None);
    let error = client.manifest(&app).await.expect_err("nothing is there");
    assert!(error.is_not_found(), "{error:?}");
    assert!(
        error.to_string().contains("MANIFEST_UNKNOWN") || error.to_string().contains("NAME_UNKNOWN"),
        "{error}"
    );

    let package = package(dir.path(), &[noise(5000, 17)]);
    client.push(&package, &app, &[], &OnBytes::nowhere()).await.expect("pushed");
    let layer = package.blobs[0].descriptor.digest;
    assert!(client.blob_exists(&app, &layer).await.expect("asked"));
    std::fs::write(registry.blob_file(&layer.hex()), noise(5000, 18)).expect("damaged");
    let amd64: Platform = "linux/amd64".parse().expect("a platform");
    let error = client.pull_image(&app, &amd64, &dir.path().join("blobs")).await.expect_err("damaged");
    assert!(
        matches!(error, RegistryError::DigestMismatch { expected, .. } if expected == layer),
        "{error:?}"
    );
    assert!(!dir.path().join("blobs/sha256").join(layer.hex()).exists());
}

#[tokio::test]
async fn an_index_is_copied_with_everything_that_it_names() {
    let (from, to) = (DockerRegistry::open(), DockerRegistry::guarded());
    let dir = tempfile::tempdir().expect("a folder");
    let (one, two) = (
        package(dir.path(), &[vec![1; 4_000], vec![2; 300_000]]),
        package(dir.path(), &[vec![2; 300_000], vec![3; 10]]),
    );
    let reader = client();
    let source = image(&from.address, "team/app");
    let mut entries = Vec::new();
    for (package, architecture) in [(&one, "amd64"), (&two, "arm64")] {
        reader.push(package, &source, &[], &OnBytes::nowhere()).await.expect("pushed");
        let mut entry = serde_json::to_value(package.descriptor()).expect("json");
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entries.push(entry);
    }
    let manifest = json!({"schemaVersion": 2, "mediaType": MediaType::INDEX, "manifests": entries});
    let manifest = serde_json::to_vec(&manifest).expect("json");
    let index = Package {
        digest: Digest::of(&manifest),
        manifest: manifest.into(),
        media_type: MediaType::INDEX.to_owned(),
        config: Vec::new().into(),
        blobs: Vec::new(),
    };
    reader.put_index(&index, &source).await.expect("an index");

    let login = Login { username: ACCOUNT.0.to_owned(), password: ACCOUNT.1.to_owned() };
    let logins = [(to.address.clone(), login)].into();
    let writer = Client::new(ClientConfig { logins, ..quick() }).expect("a client");
    let target = image(&to.address, "other/app");
    let pinned = source.pinned(index.digest);
    let nobody = OnBytes::nowhere();
    let copy = || reader.copy(&pinned, &writer, &target, &nobody);
    let sent = copy().await.expect("copied").expect("it was not there");
    assert!(sent > 304_000 && sent < 600_000, "the layer that both have goes once: {sent}");
    assert_eq!(copy().await.expect("looked at"), None);
    writer.tag(&target.pinned(index.digest), "all").await.expect("tagged");
    let creds = format!("{}:{}", ACCOUNT.0, ACCOUNT.1);
    let there = format!("docker://{}/other/app:all", to.address);
    let folder = format!("dir:{}", dir.path().join("judged").display());
    support::skopeo(&[
        "copy",
        "--insecure-policy",
        "--all",
        "--src-tls-verify=false",
        "--src-creds",
        &creds,
        &there,
        &folder,
    ]);
}
