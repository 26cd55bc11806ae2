//! A registry on a free port and a client for it.

use std::{net::SocketAddr, path::Path};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use skep_model::Digest;
use skep_registryd::Registry;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) struct Served {
    pub(crate) registry: Registry,
    pub(crate) address: SocketAddr,
    client: Client<HttpConnector, Body>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _dir: Option<TempDir>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.bytes))
    }

    /// The code of the error, or the status if it is none.
    pub(crate) fn code(&self) -> String {
        if self.status < 400 {
            return self.status.to_string();
        }
        let body = self.json();
        format!("{} {}", self.status, body["errors"][0]["code"].as_str().expect("a code"))
    }
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

impl Served {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let served = Self::start_in(dir.path()).await;
        Self { _dir: Some(dir), ..served }
    }

    pub(crate) async fn start_in(dir: &Path) -> Self {
        let registry = Registry::ephemeral(dir).expect("an empty registry");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let task = {
            let (registry, stop) = (registry.clone(), stop.clone());
            tokio::spawn(async move { registry.serve(listener, stop.cancelled()).await })
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { registry, address, client, stop, task, _dir: None }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("a clean end");
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(body).expect("valid")).await.expect("a response");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], full("")).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.send(Method::HEAD, path, &[], full("")).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], full("")).await
    }

    /// Begins an upload; returns where it goes on.
    pub(crate) async fn begin(&self, repository: &str) -> String {
        let begun = self.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], full("")).await;
        assert_eq!(begun.code(), "202");
        begun.header("location").to_owned()
    }

    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let pushed = self.send(Method::POST, &path, &[], full(bytes.to_vec())).await;
        assert_eq!(pushed.code(), "201");
        digest
    }

    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        manifest: &Value,
    ) -> Reply {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send(Method::PUT, &path, &[("content-type", media_type)], full(manifest.to_string())).await
    }

    /// Pushes a whole image of one layer; returns the digests of manifest and layer.
    pub(crate) async fn push_image(&self, repository: &str, tag: &str, layer: &str) -> (Digest, Digest) {
        let manifest = image(layer, None);
        self.push_blob(repository, b"{}").await;
        let layer = self.push_blob(repository, layer.as_bytes()).await;
        let pushed = self.push_manifest(repository, tag, MANIFEST, &manifest).await;
        assert_eq!(pushed.code(), "201", "{:?}", pushed.bytes);
        (pushed.header("docker-content-digest").parse().expect("a digest"), layer)
    }
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len() })
}

/// A manifest with an empty configuration and one layer.
pub(crate) fn image(layer: &str, subject: Option<Value>) -> Value {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, b"{}"),
        "layers": [descriptor(LAYER, layer.as_bytes())],
    });
    if let Some(subject) = subject {
        manifest["subject"] = subject;
    }
    manifest
}
