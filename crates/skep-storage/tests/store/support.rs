//! A store that nobody here wrote: `s3s-fs`, on loopback, with a bucket.

use std::{fs, path::PathBuf};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use skep_storage::{Addressing, Bucket, Credentials, Presigned, Signer};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

const ID: &str = "AKIAEXAMPLE";
const SECRET: &str = "open/sesame+with=signs";

/// The store. It ends with the value.
pub(crate) struct Store {
    endpoint: Url,
    root: TempDir,
    server: JoinHandle<()>,
    pub(crate) client: Client,
}

impl Store {
    pub(crate) async fn start() -> Self {
        // Whoever is first installs it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let root = TempDir::new().unwrap();
        let service = {
            let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
            builder.set_auth(SimpleAuth::from_single(ID, SECRET));
            builder.build()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    drop(
                        Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        let store = Self { endpoint, root, server, client: Client::builder().no_proxy().build().unwrap() };
        store.make("photos");
        store
    }

    /// Makes a bucket.
    pub(crate) fn make(&self, bucket: &str) {
        fs::create_dir(self.root.path().join(bucket)).unwrap();
    }

    pub(crate) fn signer(&self, bucket: &str) -> Signer {
        Signer::new(self.bucket(bucket), Credentials::new(ID, SECRET))
    }

    /// What an app would ask with.
    pub(crate) fn own_client(&self, bucket: &str) -> skep_storage::Client {
        skep_storage::Client::new(self.bucket(bucket), Credentials::new(ID, SECRET), self.client.clone())
    }

    fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(&self.endpoint, Addressing::Path, name, "eu-central-003").unwrap()
    }

    /// Keeps bytes by hand.
    pub(crate) fn put_plainly(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let path = self.path(bucket, key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// What is kept under a key; `None` when there is nothing.
    pub(crate) fn kept(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        fs::read(self.path(bucket, key)).ok()
    }

    /// Whether nothing has been kept at all.
    pub(crate) fn is_empty(&self, bucket: &str) -> bool {
        fs::read_dir(self.root.path().join(bucket)).unwrap().next().is_none()
    }

    fn path(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.path().join(bucket).join(key)
    }

    /// Sends the bytes as a client would that does as it is told.
    pub(crate) async fn send(&self, presigned: &Presigned, bytes: &[u8]) -> StatusCode {
        match presigned {
            Presigned::Post { url, fields } => {
                let parts = fields.iter().map(|(name, value)| Part::field(name, value)).collect();
                self.post(url, parts, bytes).await
            }
            Presigned::Put { url, headers } => self.put(url.clone(), headers, bytes).await,
        }
    }

    pub(crate) async fn post(&self, url: &Url, mut parts: Vec<Part>, bytes: &[u8]) -> StatusCode {
        parts.push(Part::file(bytes));
        self.form(url, &parts).await
    }

    /// Sends a form of these parts, in this order.
    pub(crate) async fn form(&self, url: &Url, parts: &[Part]) -> StatusCode {
        let mut body = Vec::new();
        for Part { head, value } in parts {
            body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes());
            body.extend(value);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{BOUNDARY}--\r\n").bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.client.post(url.clone()).header("Content-Type", kind).body(body).send().await.unwrap().status()
    }

    pub(crate) async fn put<N: AsRef<str>>(
        &self,
        url: Url,
        headers: &[(N, String)],
        bytes: &[u8],
    ) -> StatusCode {
        let mut request = self.client.put(url).body(bytes.to_vec());
        for (name, value) in headers.iter().filter(|(name, _)| name.as_ref() != "content-length") {
            request = request.header(name.as_ref(), value);
        }
        request.send().await.unwrap().status()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.abort();
    }
}

const BOUNDARY: &str = "a-line-that-no-file-has";

/// A part of a form.
#[derive(Clone)]
pub(crate) struct Part {
    head: String,
    value: Vec<u8>,
}

impl Part {
    pub(crate) fn field(name: &str, value: &str) -> Self {
        Self { head: format!("name=\"{name}\""), value: value.as_bytes().to_vec() }
    }

    pub(crate) fn file(bytes: &[u8]) -> Self {
        let head = "name=\"file\"; filename=\"roof.png\"\r\nContent-Type: text/html".to_owned();
        Self { head, value: bytes.to_vec() }
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
