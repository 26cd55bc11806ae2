//! A bucket whose moods a test decides: busy, slow, silent, refusing, at one kind of request or at all.

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use honeydue_bucket::{Settings, router};
use honeydue_files::Storage;
use jiff::Timestamp;
use skep_storage::{Addressing, Bucket, Credentials, Presigned, Signer, Upload};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use crate::there::There;

const KEY_ID: &str = "AKIAHONEYDUE";
const SECRET: &str = "open/sesame+with=signs";
const BUCKET: &str = "honeydue-test";
const REGION: &str = "us-east-1";

/// What is asked of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A client's form or PUT.
    Upload,
    /// An object's bytes, or the first of them.
    Get,
    /// A copy within the bucket.
    Copy,
    /// The deletion of some.
    Delete,
    /// What there is.
    List,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// 503.
    Busy,
    /// Not at all.
    Silent,
    /// So much later.
    Slow(Duration),
    /// It does as it is told, and its answer is lost.
    Forgetful,
}

/// Where its bytes are.
enum Place {
    Here(TempDir),
    There(Box<There>),
}

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Moods {
    of: BTreeMap<Operation, Mood>,
    /// What happens just before the next request of a kind.
    before: BTreeMap<Operation, Hook>,
    seen: BTreeMap<Operation, u64>,
    /// A key that it will not delete.
    denied: Option<String>,
}

/// The bucket. It ends with the value.
pub struct TestBucket {
    place: Place,
    /// Of the server that has moods; what is behind it has none.
    endpoint: Url,
    name: String,
    key_id: String,
    secret: String,
    moods: Arc<Mutex<Moods>>,
    server: JoinHandle<()>,
}

impl std::fmt::Debug for TestBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestBucket").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

impl TestBucket {
    /// Opens an empty one: on loopback, or in the store of `SKEP_TEST_S3`.
    pub async fn start() -> Self {
        let (place, key_id, secret, name) = match There::from_environment() {
            Some(there) => {
                let (key_id, secret, name) = there.access();
                (Place::There(Box::new(there)), key_id, secret, name)
            }
            None => {
                let root = TempDir::new().unwrap();
                (Place::Here(root), KEY_ID.to_owned(), SECRET.to_owned(), BUCKET.to_owned())
            }
        };
        let router: Router = match &place {
            Place::Here(root) => router(&Settings {
                root: root.path().to_owned(),
                bucket: name.clone(),
                key_id: key_id.clone(),
                secret: secret.clone(),
                origins: Vec::new(),
            })
            .unwrap(),
            Place::There(there) => there.router(),
        };
        let moods: Arc<Mutex<Moods>> = Arc::default();
        let router = router.layer(middleware::from_fn_with_state(moods.clone(), answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { place, endpoint, name, key_id, secret, moods, server }
    }

    /// Whether it is honeyDue's own for one machine, which does more than any store must.
    pub fn is_honeydues(&self) -> bool {
        matches!(self.place, Place::Here(_))
    }

    /// Tells one of honeyDue's programs of it.
    pub fn known_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.envs(self.settings())
    }

    fn settings(&self) -> [(&'static str, &str); 4] {
        [
            ("B2_ENDPOINT", self.endpoint.as_str()),
            ("B2_BUCKET", &self.name),
            ("B2_KEY_ID", &self.key_id),
            ("B2_APP_KEY", &self.secret),
        ]
    }

    /// As honeyDue's programs have it.
    pub fn storage(&self) -> Storage {
        Storage::new(self.bucket(), self.bucket(), &self.credentials()).unwrap()
    }

    /// Signs with the bucket's own key, for what an attacker could not.
    pub fn signer(&self) -> Signer {
        Signer::new(self.bucket(), self.credentials())
    }

    fn bucket(&self) -> Bucket {
        Bucket::new(&self.endpoint, Addressing::Path, &self.name, REGION).unwrap()
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(&self.key_id, &self.secret)
    }

    /// How it answers one kind of request from now on.
    pub fn is(&self, operation: Operation, mood: Mood) {
        self.moods().of.insert(operation, mood);
    }

    /// How it answers every kind of request from now on.
    pub fn is_wholly(&self, mood: Mood) {
        use Operation::{Copy, Delete, Get, List, Upload};
        [Upload, Get, Copy, Delete, List].into_iter().for_each(|operation| self.is(operation, mood));
    }

    /// Which key it will not delete, as a store where one object is locked.
    pub fn denies(&self, key: Option<&str>) {
        self.moods().denied = key.map(str::to_owned);
    }

    /// Sends bytes as a client does that was presigned.
    pub async fn send(&self, key: &str, content_type: &str, bytes: &[u8]) {
        let upload = Upload::new(key, content_type, bytes.len() as u64).unwrap();
        let lives = Duration::from_secs(60);
        let Presigned::Put { url, .. } = self.signer().put(&upload, Timestamp::now(), lives) else {
            unreachable!("a URL was asked for");
        };
        let request = reqwest::Client::builder().no_proxy().build().unwrap().put(url);
        let sent = request.header("content-type", content_type).body(bytes.to_vec()).send().await.unwrap();
        assert!(sent.status().is_success(), "{key}: {}", sent.status());
    }

    /// What happens just before the next request of a kind is answered.
    pub fn before_the_next(&self, operation: Operation, hook: impl FnOnce() + Send + 'static) {
        self.moods().before.insert(operation, Box::new(hook));
    }

    /// How often a kind of request has been made.
    pub fn seen(&self, operation: Operation) -> u64 {
        self.moods().seen.get(&operation).copied().unwrap_or(0)
    }

    fn moods(&self) -> MutexGuard<'_, Moods> {
        self.moods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes under a key; `None` when there are none.
    pub fn kept(&self, key: &str) -> Option<Vec<u8>> {
        match &self.place {
            Place::Here(root) => fs::read(root.path().join(BUCKET).join(key)).ok(),
            Place::There(there) => there.get(key),
        }
    }

    /// Every key, in order.
    pub fn keys(&self) -> Vec<String> {
        let root = match &self.place {
            Place::Here(root) => root.path().join(BUCKET),
            Place::There(there) => return there.keys(),
        };
        let (mut folders, mut keys) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    keys.push(entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        keys.sort();
        keys
    }

    /// Puts bytes under a key, by hand.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        match &self.place {
            Place::Here(root) => {
                let path = root.path().join(BUCKET).join(key);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            Place::There(there) => there.put(key, bytes),
        }
    }

    /// Takes the bytes under a key away, by hand.
    pub fn remove(&self, key: &str) {
        match &self.place {
            Place::Here(root) => fs::remove_file(root.path().join(BUCKET).join(key)).unwrap(),
            Place::There(there) => there.remove(key),
        }
    }
}

impl Drop for TestBucket {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(moods): State<Arc<Mutex<Moods>>>, request: Request, next: Next) -> Response {
    let operation = operation(&request);
    let (mood, hook, denied) = {
        let mut moods = moods.lock().unwrap_or_else(PoisonError::into_inner);
        *moods.seen.entry(operation).or_default() += 1;
        (
            moods.of.get(&operation).copied().unwrap_or(Mood::Well),
            moods.before.remove(&operation),
            moods.denied.clone(),
        )
    };
    if let Some(hook) = hook {
        hook();
    }
    match mood {
        Mood::Well if operation == Operation::Delete => delete(request, denied, next).await,
        Mood::Well => next.run(request).await,
        Mood::Busy => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], "slow down").into_response(),
        Mood::Silent => std::future::pending().await,
        Mood::Slow(by) => {
            tokio::time::sleep(by).await;
            next.run(request).await
        }
        Mood::Forgetful => {
            drop(next.run(request).await);
            std::future::pending().await
        }
    }
}

/// Lets all be deleted but what is denied, which is answered as S3 answers it: with success, and an error of its own within.
async fn delete(request: Request, denied: Option<String>, next: Next) -> Response {
    let Some(denied) = denied else { return next.run(request).await };
    let (mut head, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let object = format!("<Object><Key>{denied}</Key></Object>");
    if !body.contains(&object) {
        return next.run(Request::from_parts(head, Body::from(body))).await;
    }
    for name in ["content-md5", "content-length"] {
        head.headers.remove(name);
    }
    let rest = body.replace(&object, "");
    let mut answer =
        String::from("<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></DeleteResult>");
    if rest.contains("<Object>") {
        head.headers.insert("content-length", rest.len().into());
        let response = next.run(Request::from_parts(head, Body::from(rest))).await;
        assert!(response.status().is_success(), "{response:?}");
        answer =
            String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
        answer = answer.replace("/>", "></DeleteResult>");
    }
    let error =
        format!("<Error><Key>{denied}</Key><Code>AccessDenied</Code><Message>it is locked</Message></Error>");
    answer.replace("</DeleteResult>", &format!("{error}</DeleteResult>")).into_response()
}

fn operation(request: &Request) -> Operation {
    let query = request.uri().query().unwrap_or_default();
    match *request.method() {
        Method::GET if query.contains("list-type=") || query.contains("versions") => Operation::List,
        Method::GET | Method::HEAD => Operation::Get,
        Method::PUT if request.headers().contains_key("x-amz-copy-source") => Operation::Copy,
        Method::POST if query.starts_with("delete") || query.contains("&delete") => Operation::Delete,
        Method::DELETE => Operation::Delete,
        _ => Operation::Upload,
    }
}
