//! An API that fails on purpose: what stands between Skep and the cluster, and does to one request what networks and servers do.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde_json::json;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{oneshot, watch},
};

use crate::World;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Somebody else was faster.
    Conflict,
    /// Too many requests; come back in a second.
    Busy,
    /// The server stumbles.
    Broken,
    /// The connection is lost before the request arrives.
    Lost,
    /// The connection is lost after the request was carried out: nobody knows that it was. A watch ends in the middle.
    Unanswered,
    /// The answer takes three seconds.
    Slow,
    /// What was asked about is too old; a watch says so in the middle.
    Gone,
    /// The token is no longer good.
    Expired,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Conflict,
        Self::Busy,
        Self::Broken,
        Self::Lost,
        Self::Unanswered,
        Self::Slow,
        Self::Gone,
        Self::Expired,
    ];
}

/// A way to the cluster that can be made to fail. Ends with the value.
pub struct FaultyApi {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    proxy: Child,
    stop: Option<oneshot::Sender<()>>,
    server: Option<thread::JoinHandle<()>>,
}

impl std::fmt::Debug for FaultyApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyApi").field("kubeconfig", &self.kubeconfig).finish_non_exhaustive()
    }
}

struct Shared {
    /// Where `kubectl proxy` listens.
    upstream: String,
    client: reqwest::Client,
    calls: Mutex<Calls>,
    /// The path's end of what nobody may read.
    forbidden: Mutex<Option<&'static str>>,
    /// Whether nobody answers, and connections that were open are cut.
    away: watch::Sender<bool>,
}

#[derive(Default)]
struct Calls {
    plan: Option<(usize, Fault)>,
    /// How much farther away the cluster is.
    delay: Duration,
    seen: Vec<String>,
    /// When each was asked, and when its answer went back.
    times: Vec<(Instant, Instant)>,
}

impl FaultyApi {
    /// Opens one before the world's cluster.
    ///
    /// # Panics
    /// When `kubectl proxy` does not start.
    pub fn before(world: &World) -> Self {
        let mut command = world.kubectl_command();
        let mut proxy = command
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("kubectl starts");
        let mut line = String::new();
        BufReader::new(proxy.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("kubectl says where it is");
        let upstream = line.trim().rsplit(' ').next().expect("an address").to_owned();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let away = watch::Sender::new(false);
        let shared =
            Arc::new(Shared { upstream, client, calls: Mutex::default(), forbidden: Mutex::default(), away });
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = std::sync::mpsc::channel();
        let served = Arc::clone(&shared);
        let server = thread::spawn(move || {
            let runtime = Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                ready.send(listener.local_addr().expect("bound")).expect("somebody waits");
                let router = Router::new().fallback(answer).with_state(served);
                tokio::select! {
                    ended = axum::serve(listener, router) => ended.expect("it serves"),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(100));
        });
        let address = address.recv().expect("it listens");
        let kubeconfig = world.path().join("faulty.kubeconfig");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "faulty",
            "clusters": [{"name": "faulty", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "anyone", "user": {}}],
            "contexts": [{"name": "faulty", "context": {"cluster": "faulty", "user": "anyone"}}],
        });
        fs::write(&kubeconfig, text.to_string()).expect("a file can be written");
        Self { kubeconfig, shared, proxy, stop: Some(stop), server: Some(server) }
    }

    /// The kubeconfig that leads here.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// From now on requests are counted anew, and the one of this number (from 0) fails so.
    pub fn plan(&self, fault: Option<(usize, Fault)>) {
        *self.shared.calls() = Calls { plan: fault, ..Calls::default() };
    }

    /// From now on requests are counted anew, and each takes so much longer.
    pub fn is_farther_by(&self, delay: Duration) {
        *self.shared.calls() = Calls { delay, ..Calls::default() };
    }

    /// From now on reading what ends so is forbidden, as RBAC does: `/secrets`.
    pub fn forbid(&self, end: &'static str) {
        *self.shared.forbidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Whether nobody answers from now on, and what is open is cut.
    pub fn is_away(&self, away: bool) {
        self.shared.away.send_replace(away);
    }

    /// How many requests had to wait for the answer of one before, in the longest chain of such.
    pub fn round_trips(&self) -> usize {
        let mut times = self.shared.calls().times.clone();
        times.sort_by_key(|(_, end)| *end);
        let mut last = None;
        let mut count = 0;
        for (start, end) in times {
            if last.is_none_or(|last| start >= last) {
                (last, count) = (Some(end), count + 1);
            }
        }
        count
    }

    /// The requests since then, `GET /api/v1/…`; renewals of the lock are not counted.
    pub fn seen(&self) -> Vec<String> {
        self.shared.calls().seen.clone()
    }
}

impl Drop for FaultyApi {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.server.take().map(thread::JoinHandle::join);
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Shared {
    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to this request.
    fn fault(&self, request: &Request) -> Option<Fault> {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        if request.method() == Method::PUT && path.contains("/leases/") {
            return None;
        }
        let mut calls = self.calls();
        let number = calls.seen.len();
        calls.seen.push(format!("{} {path}", request.method()));
        calls.plan.filter(|(at, _)| *at == number).map(|(_, fault)| fault)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    if *shared.away.borrow() {
        return lost();
    }
    let forbidden = *shared.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
    if request.method() == Method::GET && forbidden.is_some_and(|end| request.uri().path().ends_with(end)) {
        return refused(StatusCode::FORBIDDEN, "Forbidden", "secrets is forbidden: ann cannot list secrets");
    }
    let delay = shared.calls().delay;
    match shared.fault(&request) {
        None if !delay.is_zero() => {
            let start = Instant::now();
            tokio::time::sleep(delay).await;
            let answer = forward(&shared, request, None).await;
            shared.calls().times.push((start, Instant::now()));
            answer
        }
        None => forward(&shared, request, None).await,
        Some(Fault::Slow) => {
            tokio::time::sleep(Duration::from_secs(3)).await;
            forward(&shared, request, None).await
        }
        Some(Fault::Unanswered) if is_watch => forward(&shared, request, Some(Cut::Off)).await,
        Some(Fault::Gone) if is_watch => forward(&shared, request, Some(Cut::Gone)).await,
        Some(Fault::Unanswered) => {
            forward(&shared, request, None).await;
            lost()
        }
        Some(Fault::Lost) => lost(),
        Some(Fault::Conflict) => refused(StatusCode::CONFLICT, "Conflict", "the object has been modified"),
        Some(Fault::Broken) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "etcd has no leader")
        }
        Some(Fault::Gone) => refused(StatusCode::GONE, "Expired", "too old resource version"),
        Some(Fault::Expired) => refused(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"),
        Some(Fault::Busy) => {
            let mut busy =
                refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "please try again later");
            busy.headers_mut().insert("retry-after", "1".parse().expect("a header"));
            busy
        }
    }
}

/// How a watch ends before its time.
#[derive(Clone, Copy)]
enum Cut {
    Off,
    Gone,
}

async fn forward(shared: &Shared, request: Request, cut: Option<Cut>) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut call =
        shared.client.request(parts.method, format!("http://{}{path}", shared.upstream)).body(body);
    for name in ["accept", "content-type"] {
        if let Some(value) = parts.headers.get(name) {
            call = call.header(name, value);
        }
    }
    let Ok(answer) = call.send().await else { return lost() };
    let mut response = Response::builder().status(answer.status());
    for name in ["content-type", "retry-after"] {
        if let Some(value) = answer.headers().get(name) {
            response = response.header(name, value);
        }
    }
    let body = match cut {
        None => {
            let mut away = shared.away.subscribe();
            let cut = async move { drop(away.wait_for(|away| *away).await) };
            Body::from_stream(answer.bytes_stream().take_until(Box::pin(cut)))
        }
        Some(Cut::Off) => Body::from_stream(broken()),
        Some(Cut::Gone) => {
            let status = status(StatusCode::GONE, "Expired", "too old resource version");
            Body::from(format!("{}\n", json!({"type": "ERROR", "object": status})))
        }
    };
    response.body(body).expect("a response")
}

/// A body that ends before it has begun, as when a connection is cut.
fn broken() -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::iter([Err(std::io::ErrorKind::ConnectionReset.into())])
}

fn lost() -> Response {
    let mut response = Response::new(Body::from_stream(broken()));
    response.headers_mut().insert("content-length", "100".parse().expect("a header"));
    response
}

fn refused(code: StatusCode, reason: &str, message: &str) -> Response {
    (code, axum::Json(status(code, reason, message))).into_response()
}

fn status(code: StatusCode, reason: &str, message: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    })
}
