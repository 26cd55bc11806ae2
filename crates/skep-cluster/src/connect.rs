//! The way to a cluster: a context of a kubeconfig.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, header::CONTENT_TYPE};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::{BoxError, Service};

use crate::{
    ClusterError, Kubeconfig, Redaction, Route, error::field_conflicts, lease::Fence, objects::bytes, routes,
};

/// How long one request may take with all its tries, watches and logs apart.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// The same for a cluster that has answered before.
const COMES_BACK: Duration = Duration::from_secs(60);
/// The pauses before a request is tried again. What says itself when to come back (429, 503, 504) the client below has tried before.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
    Duration::from_millis(2700),
];
/// Server-side apply.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// A connection to one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
    server: Arc<str>,
    /// Whether it has ever answered.
    answered: Arc<AtomicBool>,
    /// The lock that is held here.
    pub(crate) fence: Fence,
    /// What no text of pods may show.
    pub(crate) redaction: Redaction,
    /// Routes of kinds that are not built in, found by discovery.
    found: Arc<Mutex<BTreeMap<(String, String), Route>>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its URL.
    pub url: String,
    /// `v1.36.0`.
    pub version: String,
}

impl Cluster {
    /// Uses what a kubeconfig says. Nothing is sent yet; an exec plugin may be run.
    ///
    /// # Errors
    /// When its context, its user or a file that it names can't be used.
    pub async fn connect(kubeconfig: Kubeconfig) -> Result<Self, ClusterError> {
        let (client, server) = kubeconfig.client().await?;
        Ok(Self {
            client,
            server: server.into(),
            answered: Arc::default(),
            fence: Fence::default(),
            redaction: Redaction::default(),
            found: Arc::default(),
        })
    }

    /// Uses a cluster whose API is whatever `service` answers: one in the same process, say.
    pub fn over<S, B>(service: S, server: &str) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError> + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let client = crate::transport::over(service, "default");
        Self {
            client,
            server: server.into(),
            answered: Arc::default(),
            fence: Fence::default(),
            redaction: Redaction::default(),
            found: Arc::default(),
        }
    }

    /// A cluster that is not there, for whoever has something to say without one: every request fails.
    pub fn nowhere() -> Self {
        let nobody = tower::service_fn(|_: Request<Body>| async {
            Err::<Response<Body>, BoxError>("there is no cluster".into())
        });
        Self::over(nobody, "nowhere")
    }

    /// The API's URL.
    pub fn url(&self) -> &str {
        &self.server
    }

    /// Asks the server for its version: the cheapest proof that it is there and lets us in.
    ///
    /// # Errors
    /// When it can't be reached or refuses.
    pub async fn server(&self) -> Result<Server, ClusterError> {
        let version = self.call("read", "/version", request("GET", "/version", Vec::new(), None)?).await?;
        Ok(Server {
            url: self.server.to_string(),
            version: version["gitVersion"].as_str().unwrap_or("unknown").to_owned(),
        })
    }

    /// What whoever we are may do in a namespace: a SelfSubjectRulesReview, answered.
    ///
    /// # Errors
    /// When the API can't be reached or refuses.
    pub async fn rules(&self, namespace: &str) -> Result<Value, ClusterError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let request = request("POST", path, bytes(&review)?, Some("application/json"))?;
        self.call("review", "what you may do", request).await
    }

    /// The route of a kind, by discovery if it is not built in.
    ///
    /// # Errors
    /// When the cluster serves no such kind.
    pub async fn route(&self, api_version: &str, kind: &str) -> Result<Route, ClusterError> {
        if let Some(route) = Route::built_in(api_version, kind) {
            return Ok(route);
        }
        let wanted = (api_version.to_owned(), kind.to_owned());
        if let Some(route) = self.found.lock().ok().and_then(|found| found.get(&wanted).cloned()) {
            return Ok(route);
        }
        let unknown =
            || ClusterError::UnknownKind { kind: kind.to_owned(), api_version: api_version.to_owned() };
        let path = routes::root(api_version);
        let list = match self.call("read", &path, request("GET", &path, Vec::new(), None)?).await {
            Err(error) if error.is_not_found() => return Err(unknown()),
            answer => answer?,
        };
        let entry = list["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["kind"] == kind && !entry["name"].as_str().unwrap_or("/").contains('/'))
            .ok_or_else(unknown)?;
        let route = Route {
            api_version: wanted.0.clone(),
            kind: wanted.1.clone(),
            plural: entry["name"].as_str().unwrap_or_default().to_owned(),
            namespaced: entry["namespaced"].as_bool().unwrap_or(true),
        };
        if let Ok(mut found) = self.found.lock() {
            found.insert(wanted, route.clone());
        }
        Ok(route)
    }

    /// Sends a request and reads a JSON answer, within the deadline. What may be sent twice is tried again when it failed for a reason
    /// that passes by itself.
    pub(crate) async fn call(
        &self,
        verb: &'static str,
        what: &str,
        request: Request<Vec<u8>>,
    ) -> Result<Value, ClusterError> {
        let again = may_be_sent_twice(&request);
        let fenced = is_fenced(&request);
        let mut pauses = PAUSES.iter();
        let failed = |error| self.failed(verb, what, error);
        let tried = async {
            loop {
                if fenced {
                    self.fence.pass().await?;
                }
                let error = match self.client.request::<Value>(request.clone()).await {
                    Ok(answer) => {
                        self.answered.store(true, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(error) => error,
                };
                let lost = !matches!(error, kube::Error::Api(_));
                if !lost {
                    self.answered.store(true, Ordering::Relaxed);
                }
                // A cluster that has answered before comes back: its API is being restarted, or the network is away for a moment.
                let longer =
                    (lost && self.answered.load(Ordering::Relaxed)).then(|| &PAUSES[PAUSES.len() - 1]);
                match pauses.next().or(longer) {
                    Some(pause) if again && passes(&error) => {
                        tracing::debug!(%error, verb, what, "will be tried again");
                        tokio::time::sleep(*pause).await;
                    }
                    _ => return Err(failed(error)),
                }
            }
        };
        let deadline = if self.answered.load(Ordering::Relaxed) { COMES_BACK } else { DEADLINE };
        match tokio::time::timeout(deadline, tried).await {
            Ok(answer) => answer,
            Err(_) => Err(ClusterError::Unreachable {
                server: self.server.to_string(),
                why: format!("no good answer to {verb} {what} within {} s", deadline.as_secs()),
            }),
        }
    }

    pub(crate) fn failed(&self, verb: &'static str, what: &str, error: kube::Error) -> ClusterError {
        let error = ClusterError::from_kube(&self.server, verb, what, error);
        // A webhook may quote what it refuses.
        error.map_message(|message| self.redaction.redact_known(message))
    }
}

/// Whether it does no harm that the first try may have been carried out: reads, deletions, applies, and writes that depend on no version.
/// The creation of a record or a lease is a fence, and its second try would find the first's.
fn may_be_sent_twice(request: &Request<Vec<u8>>) -> bool {
    match *request.method() {
        Method::GET | Method::DELETE => true,
        Method::PATCH => request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == APPLY),
        Method::PUT => !request.body().windows(17).any(|text| text == b"\"resourceVersion\""),
        _ => false,
    }
}

/// Whether it may only be sent while the lock is held, if one was taken: a write, but for the lease and for what Skep keeps in records of
/// its own, which say what was and have fences of their own.
fn is_fenced(request: &Request<Vec<u8>>) -> bool {
    let uri = request.uri();
    let rehearses = uri.query().is_some_and(|query| query.contains("dryRun=All"));
    let own = uri.path().rsplit('/').next().is_some_and(|name| name.starts_with("skep."));
    *request.method() != Method::GET && !rehearses && !own
}

/// Whether another try may go better: a server's stumble, a lost connection, or an apply that met another writer.
fn passes(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) if status.code == 409 => field_conflicts(status).is_empty(),
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        // An answer that ends in its middle.
        kube::Error::SerdeError(error) => error.is_eof(),
        _ => false,
    }
}

/// Builds a request; `content_type` is that of the body.
pub(crate) fn request(
    method: &str,
    path: &str,
    body: Vec<u8>,
    content_type: Option<&str>,
) -> Result<Request<Vec<u8>>, ClusterError> {
    let mut builder = Request::builder().method(method).uri(path).header("Accept", "application/json");
    if let Some(content_type) = content_type {
        builder = builder.header("Content-Type", content_type);
    }
    builder
        .body(body)
        .map_err(|error| ClusterError::Answer { what: format!("{method} {path}"), why: error.to_string() })
}
