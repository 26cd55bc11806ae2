//! A store that nobody here wrote, with a bucket of each test's own: `s3s-fs` on loopback, or another that runs already.

use std::fs;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use skep_storage::{Addressing, Bucket, Credentials, Presigned, Signer, region_of};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use crate::foreign::Foreign;

const ID: &str = "AKIAEXAMPLE";
const SECRET: &str = "open/sesame+with=signs";

/// The store. What is its own ends with the value.
pub(crate) struct Store {
    server: Server,
    /// What tells the buckets of one test from those of another, where all share a store.
    suffix: String,
    pub(crate) client: Client,
}

enum Server {
    S3sFs { endpoint: Url, root: TempDir, task: JoinHandle<()> },
    Foreign(Foreign),
}

impl Store {
    pub(crate) async fn start() -> Self {
        // Whoever is first installs it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().no_proxy().build().unwrap();
        let (server, suffix) = match Foreign::from_environment(&client) {
            Some(foreign) => {
                let moment = now().as_nanosecond();
                (Server::Foreign(foreign), format!("-{}-{moment}", std::process::id()))
            }
            None => (s3s_fs().await, String::new()),
        };
        let store = Self { server, suffix, client };
        store.make("photos").await;
        store
    }

    /// Whether it is not the one that most tests were written with.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.server, Server::Foreign(_))
    }

    /// Makes a bucket.
    pub(crate) async fn make(&self, bucket: &str) {
        let bucket = self.name(bucket);
        match &self.server {
            Server::S3sFs { root, .. } => fs::create_dir(root.path().join(bucket)).unwrap(),
            Server::Foreign(foreign) => foreign.make(&bucket).await,
        }
    }

    /// A bucket's whole name.
    pub(crate) fn name(&self, bucket: &str) -> String {
        format!("{bucket}{}", self.suffix)
    }

    pub(crate) fn signer(&self, bucket: &str) -> Signer {
        let (bucket, credentials) = self.access(bucket);
        Signer::new(bucket, credentials)
    }

    /// What an app would ask with.
    pub(crate) fn own_client(&self, bucket: &str) -> skep_storage::Client {
        let (bucket, credentials) = self.access(bucket);
        skep_storage::Client::new(bucket, credentials, self.client.clone())
    }

    fn access(&self, bucket: &str) -> (Bucket, Credentials) {
        let (endpoint, id, secret) = match &self.server {
            Server::S3sFs { endpoint, .. } => (endpoint, ID, SECRET),
            Server::Foreign(foreign) => (&foreign.endpoint, foreign.id.as_str(), foreign.secret.as_str()),
        };
        let name = self.name(bucket);
        let bucket = Bucket::new(endpoint, Addressing::Path, &name, region_of(endpoint)).unwrap();
        (bucket, Credentials::new(id, secret))
    }

    /// Keeps bytes, whatever we think of them.
    pub(crate) async fn put_plainly(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let bucket = self.name(bucket);
        match &self.server {
            Server::S3sFs { root, .. } => {
                let path = root.path().join(bucket).join(key);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            Server::Foreign(foreign) => foreign.put(&bucket, key, bytes).await,
        }
    }

    /// What is kept under a key; `None` when there is nothing.
    pub(crate) async fn kept(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let bucket = self.name(bucket);
        match &self.server {
            Server::S3sFs { root, .. } => fs::read(root.path().join(bucket).join(key)).ok(),
            Server::Foreign(foreign) => foreign.get(&bucket, key).await,
        }
    }

    /// Whether nothing has been kept at all.
    pub(crate) async fn is_empty(&self, bucket: &str) -> bool {
        let bucket = self.name(bucket);
        match &self.server {
            Server::S3sFs { root, .. } => fs::read_dir(root.path().join(bucket)).unwrap().next().is_none(),
            Server::Foreign(foreign) => foreign.is_empty(&bucket).await,
        }
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

async fn s3s_fs() -> Server {
    let root = TempDir::new().unwrap();
    let service = {
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ID, SECRET));
        builder.build()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                drop(
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await,
                );
            });
        }
    });
    Server::S3sFs { endpoint, root, task }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Server::S3sFs { task, .. } = &self.server {
            task.abort();
        }
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
