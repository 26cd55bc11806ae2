//! A small image around busybox, pushed to the hive's registry.

use std::io::Write as _;

use bytes::Bytes;
use serde_json::json;
use skep_model::{Digest, ImageRef};
use skep_registry::{Blob, Client, ClientConfig, Descriptor, OnBytes, Package};

use crate::hive::Hive;

/// Pushes an image whose page is `page`; returns its reference, pinned by digest.
pub(crate) async fn push(hive: &Hive, page: &str) -> String {
    let layer = layer(page);
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]},
    })
    .to_string();
    let oci = "application/vnd.oci.image";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format!("{oci}.manifest.v1+json"),
        "config": {"mediaType": format!("{oci}.config.v1+json"), "digest": Digest::of(config.as_bytes()).to_string(), "size": config.len()},
        "layers": [{"mediaType": format!("{oci}.layer.v1.tar"), "digest": Digest::of(&layer).to_string(), "size": layer.len()}],
    })
    .to_string();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&layer).unwrap();
    let package = Package {
        digest: Digest::of(manifest.as_bytes()),
        manifest: Bytes::from(manifest),
        media_type: format!("{oci}.manifest.v1+json"),
        config: Bytes::from(config),
        blobs: vec![Blob {
            descriptor: Descriptor {
                media_type: format!("{oci}.layer.v1.tar"),
                digest: Digest::of(&layer),
                size: layer.len() as u64,
                annotations: Default::default(),
                platform: None,
            },
            path: file.path().to_owned(),
            mount_from: None,
        }],
    };
    let image: ImageRef =
        format!("{}/test/page", hive.address["registry"].as_str().unwrap()).parse().unwrap();
    let client = Client::new(ClientConfig::default()).unwrap();
    let pushed = client.push(&package, &image, &[], &OnBytes::nowhere()).await.unwrap();
    image.pinned(pushed.digest).to_string()
}

fn layer(page: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in ["bin/", "www/", "tmp/", "data/"] {
        entry(&mut tar, folder, 0o755, tar::EntryType::Directory, &[]);
    }
    let busybox = std::fs::read("/bin/busybox").unwrap();
    entry(&mut tar, "bin/busybox", 0o755, tar::EntryType::Regular, &busybox);
    for name in ["sh", "httpd", "sleep", "cat", "echo", "wget", "nslookup", "hostname"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        plain(&mut header);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox").unwrap();
    }
    entry(&mut tar, "www/index.html", 0o644, tar::EntryType::Regular, page.as_bytes());
    tar.into_inner().unwrap()
}

fn entry(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, kind: tar::EntryType, contents: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(contents.len() as u64);
    plain(&mut header);
    tar.append_data(&mut header, path, contents).unwrap();
}

/// Root's, from the epoch.
fn plain(header: &mut tar::Header) {
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
}
