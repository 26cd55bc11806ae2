//! A real client: Debian's skopeo, which shares its code with podman and buildah.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio};

use serde_json::{Value, json};
use skep_model::Digest;
use tokio::process::Command;

use crate::{
    client::{INDEX, MANIFEST, Served, descriptor},
    limits::{SmallDisk, files_below},
};

/// Runs skopeo and returns what it printed.
async fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("skopeo is installed: apt-get install skopeo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Writes content into an OCI layout; returns its descriptor.
fn put(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("writable");
    fs::write(blobs.join(Digest::of(bytes).hex()), bytes).expect("writable");
    descriptor(media_type, bytes)
}

/// An OCI layout (image-spec, image-layout.md) with one image for each architecture, tagged `v1`.
fn layout(dir: &Path, architectures: &[&str]) {
    let images = architectures.iter().map(|architecture| {
        let layer = put(
            dir,
            "application/vnd.oci.image.layer.v1.tar",
            format!("for {architecture}").repeat(1000).as_bytes(),
        );
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": ["/app"] },
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
        });
        let config = put(dir, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let mut image = put(dir, MANIFEST, manifest.to_string().as_bytes());
        image["platform"] = json!({ "architecture": architecture, "os": "linux" });
        image
    });
    let images = images.collect::<Vec<_>>();
    let mut top = match images.as_slice() {
        [image] => image.clone(),
        _ => put(
            dir,
            INDEX,
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": images }).to_string().as_bytes(),
        ),
    };
    top["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    index(dir, &top);
}

/// Makes a directory of blobs a layout whose one entry is `top`.
fn index(dir: &Path, top: &Value) {
    let index = json!({ "schemaVersion": 2, "manifests": [top] });
    fs::write(dir.join("index.json"), index.to_string()).expect("writable");
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("writable");
}

fn blobs(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(layout.join("blobs/sha256")).expect("readable");
    let file = |entry: fs::DirEntry| {
        (entry.file_name().into_string().expect("hex"), fs::read(entry.path()).expect("readable"))
    };
    entries.map(|entry| file(entry.expect("readable"))).collect()
}

#[tokio::test]
async fn an_image_goes_in_and_comes_back_the_same() {
    let served = Served::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    layout(&one, &["amd64"]);
    let (source, copy) = (format!("oci:{}:v1", one.display()), format!("oci:{}:v1", two.display()));
    let image = format!("docker://{}/admin/app:v1", served.address);
    skopeo(&["copy", "--dest-tls-verify=false", &source, &image]).await;
    // Again: everything is there. To another repository: mounted or sent anew.
    skopeo(&["copy", "--dest-tls-verify=false", &source, &image]).await;
    let other = format!("docker://{}/admin/other:v1", served.address);
    skopeo(&["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &image, &other]).await;

    let seen: Value =
        serde_json::from_str(&skopeo(&["inspect", "--tls-verify=false", &image]).await).expect("JSON");
    let stored = served.registry.manifest("admin/app", "v1").expect("readable").expect("there");
    assert_eq!(seen["Digest"], json!(stored.digest.to_string()));
    assert_eq!((&seen["Architecture"], &seen["RepoTags"]), (&json!("amd64"), &json!(["v1"])));

    skopeo(&["copy", "--src-tls-verify=false", &image, &copy]).await;
    let manifest: Value = serde_json::from_slice(&stored.bytes).expect("JSON");
    let (before, after) = (blobs(&one), blobs(&two));
    assert_eq!(after[&stored.digest.hex()], stored.bytes);
    let config = manifest["config"]["digest"].as_str().expect("text").replace("sha256:", "");
    assert_eq!(after[&config], before[&config]);
    // skopeo compresses layers on the way in; what it sent is what it gets.
    for layer in manifest["layers"].as_array().expect("a list") {
        let digest = layer["digest"].as_str().expect("text").parse::<Digest>().expect("a digest");
        let path = served.registry.blob_path(&digest).expect("there");
        assert_eq!(after[&digest.hex()], fs::read(path).expect("readable"));
    }

    skopeo(&["delete", "--tls-verify=false", &image]).await;
    assert_eq!(served.registry.manifest("admin/app", "v1").expect("readable"), None);
    assert!(served.registry.manifest("admin/other", "v1").expect("readable").is_some());
    served.stop().await;
}

#[tokio::test]
async fn an_image_for_several_platforms_keeps_its_index() {
    let served = Served::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    layout(dir.path(), &["amd64", "arm64"]);
    let (source, image) =
        (format!("oci:{}:v1", dir.path().display()), format!("docker://{}/app:v1", served.address));
    skopeo(&["copy", "--all", "--preserve-digests", "--dest-tls-verify=false", &source, &image]).await;
    let stored = served.registry.manifest("app", "v1").expect("readable").expect("there");
    assert_eq!(stored.media_type, INDEX);
    assert_eq!(stored.bytes, blobs(dir.path())[&stored.digest.hex()]);
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &image]).await;
    assert_eq!(raw.as_bytes(), stored.bytes);
    let tags =
        skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{}/app", served.address)]).await;
    assert_eq!(serde_json::from_str::<Value>(&tags).expect("JSON")["Tags"], json!(["v1"]));
    served.stop().await;
}

#[tokio::test]
async fn a_full_disk_reaches_the_person_who_pushes() {
    let disk = SmallDisk::mount();
    let served = Served::start_in(&disk.at).await;
    let dir = tempfile::tempdir().expect("a directory");
    // Compressed already, as far as skopeo can know.
    let layer =
        (0..4_000_000_u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect::<Vec<_>>();
    let layer = put(dir.path(), "application/vnd.oci.image.layer.v1.tar+gzip", &layer);
    let config = put(dir.path(), "application/vnd.oci.image.config.v1+json", b"{}");
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    let mut top = put(dir.path(), MANIFEST, manifest.to_string().as_bytes());
    top["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    index(dir.path(), &top);
    let (source, image) =
        (format!("oci:{}:v1", dir.path().display()), format!("docker://{}/app:v1", served.address));
    let arguments = ["--insecure-policy", "copy", "--dest-tls-verify=false", &source, &image];
    let output = Command::new("skopeo")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .expect("skopeo is installed");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    // Of a 5xx it shows the status only, which is enough here; a broken pipe would not be.
    assert!(errors.contains("507 Insufficient Storage"), "{errors}");
    assert_eq!(files_below(&disk.at, "uploads"), 0);
    served.stop().await;
}
