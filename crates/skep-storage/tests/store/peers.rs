//! Servers in Python that nobody here wrote: Backblaze's simulator of its own API, and moto, an S3 that keeps versions.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use skep_storage::{Addressing, Admin, Bucket, Client, Credentials};

/// One of them. It ends with the value.
pub(crate) struct Peer {
    child: Child,
    pub(crate) said: Value,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `make test` has put them. Without PyPI there are none, and what they judge is not run.
fn python() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python");
    if place.join("wanted").exists() {
        return Some(place.join("bin"));
    }
    drop(writeln!(std::io::stderr(), "not run: target/python is missing, see scripts/python-peers"));
    None
}

fn http() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Backblaze's simulator, with the bucket `honeyDueExample`.
pub(crate) fn backblaze() -> Option<Peer> {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/b2_server.py");
    let mut child =
        Command::new(python()?.join("python")).arg(server).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Some(Peer { child, said: serde_json::from_str(&line).unwrap() })
}

impl Peer {
    /// With a key pair by its names, or by itself.
    pub(crate) fn admin(&self, key_id: &str, key: &str, bucket: &str) -> Admin {
        let text = |name: &str| self.said[name].as_str().unwrap_or(name).to_owned();
        Admin::b2(text("url").parse().unwrap(), &text(key_id), &text(key), bucket, http())
    }
}

/// moto, with a bucket that keeps versions.
pub(crate) async fn moto() -> Option<(Peer, Client)> {
    let server = python()?.join("moto_server");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(server)
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let peer = Peer { child, said: Value::Null };
    let endpoint = format!("http://127.0.0.1:{port}").parse().unwrap();
    let (http, begun) = (http(), Instant::now());
    let base = format!("http://127.0.0.1:{port}/honeyDueExample");
    while http.put(&base).send().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "moto does not listen");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let versions = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
    let kept = http.put(format!("{base}?versioning")).body(versions).send().await.unwrap();
    assert!(kept.status().is_success());
    let bucket = Bucket::new(&endpoint, Addressing::Path, "honeyDueExample", "us-east-1").unwrap();
    Some((peer, Client::new(bucket, Credentials::new("AKIAEXAMPLE", "open/sesame"), http)))
}
