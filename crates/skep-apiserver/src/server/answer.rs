//! From a request to an answer.

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;
use serde_json::json;

use super::body::{self, Answer};
use super::query::Query;
use super::route::{Part, Route};
use super::{Context, logs, read, review, stream, write};
use crate::discovery;
use crate::kind::{Key, Kind};
use crate::status::Status;

/// A request without its body.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) query: Query,
}

impl Asked {
    /// Who writes, when the request does not say: what is before the `/` of the user agent.
    pub(super) fn manager(&self) -> String {
        let named = self.query.get("fieldManager");
        if !named.is_empty() {
            return named.to_owned();
        }
        let agent = self.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match agent.split('/').next().unwrap_or_default() {
            "" => "unknown".to_owned(),
            name => name.chars().take(128).collect(),
        }
    }
}

/// Answers a request; every failure is a Status.
pub(super) async fn answer(context: &Context, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let path = head.uri.path().to_owned();
    let asked = Asked { method: head.method, query: Query::parse(head.uri.query()), headers: head.headers };
    let public = matches!(route, Route::Health | Route::Version);
    if !public && !is_authorized(&asked.headers, &context.token) {
        return body::failure(&Status::new(401, "Unauthorized", "Unauthorized"));
    }
    match route_to(context, route, &asked, &path, body).await {
        Ok(answer) => answer,
        Err(status) => body::failure(&status),
    }
}

/// Compares without telling by its time how much is right.
fn is_authorized(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = sent.strip_prefix("Bearer ").unwrap_or_default();
    let differences = sent.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    sent.len() == token.len() && differences == 0
}

async fn route_to(
    context: &Context,
    route: Route,
    asked: &Asked,
    path: &str,
    body: Incoming,
) -> Result<Answer, Status> {
    let found = |value: Option<serde_json::Value>| match value {
        Some(value) => Ok(body::answer(200, &value)),
        None => Err(unknown_path()),
    };
    match route {
        Route::Health => Ok(body::with_type(200, "text/plain; charset=utf-8", "ok".to_owned())),
        Route::Version => Ok(body::answer(200, &version())),
        Route::Groups { core } => Ok(groups(core, &asked.headers)),
        Route::Group(name) => found(discovery::group(&name)),
        Route::Resources { group, version } => found(discovery::resource_list(&group, &version)),
        Route::OpenApiIndex => Ok(body::answer(200, &discovery::openapi_index())),
        Route::OpenApi(path) => found(discovery::openapi(&path)),
        Route::Review(kind) => review::answer(kind, asked, body).await,
        Route::Collection { kind, namespace } => collection(context, kind, namespace, asked, body).await,
        Route::Object { kind, namespace, name, part } => {
            object(context, Key { kind, namespace, name }, part, asked, body).await
        }
        Route::Unknown => {
            tracing::debug!(path, "asked for a path that is not served");
            Err(unknown_path())
        }
    }
}

async fn collection(
    context: &Context,
    kind: Kind,
    namespace: Option<String>,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    match asked.method {
        Method::GET | Method::HEAD if asked.query.is("watch") => {
            stream::watch(context, kind, namespace.as_deref(), asked)
        }
        Method::GET | Method::HEAD => read::list(context, kind, namespace.as_deref(), asked),
        Method::POST => write::create(context, kind, namespace.as_deref(), asked, body).await,
        Method::DELETE => write::delete_collection(context, kind, namespace.as_deref(), asked, body).await,
        _ => Err(wrong_method()),
    }
}

async fn object(
    context: &Context,
    key: Key,
    part: Part,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    match (&asked.method, part) {
        (&Method::GET | &Method::HEAD, Part::Log) => logs::read(context, &key, &asked.query).await,
        (&Method::POST, Part::Eviction) => write::evict(context, &key, asked, body).await,
        (_, Part::Eviction) => Err(wrong_method()),
        (&Method::GET | &Method::HEAD, part) => read::get(context, &key, part, asked),
        (&Method::PUT, Part::Finalize) => write::finalize(context, &key, asked, body).await,
        (&Method::PUT, part) if part != Part::Log => write::update(context, &key, part, asked, body).await,
        (&Method::PATCH, part) if part != Part::Log => write::patch(context, &key, part, asked, body).await,
        (&Method::DELETE, Part::Whole) => write::delete(context, &key, asked, body).await,
        _ => Err(wrong_method()),
    }
}

fn unknown_path() -> Status {
    Status::new(404, "NotFound", "the server could not find the requested resource")
}

fn wrong_method() -> Status {
    Status::method_not_allowed("the server does not allow this method on the requested resource")
}

/// Aggregated discovery when it is asked for, in the newest format that is; else the plain list.
fn groups(core: bool, headers: &HeaderMap) -> Answer {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(range) = accept.split(',').find(|range| range.contains("g=apidiscovery.k8s.io")) else {
        return body::answer(200, &if core { discovery::core_versions() } else { discovery::group_list() });
    };
    let (format, content_type) = if range.contains("v=v2beta1") {
        ("v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
    } else {
        ("v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    };
    body::with_type(200, content_type, discovery::aggregated(core, format).to_string())
}

fn version() -> serde_json::Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "gitVersion": concat!("v1.36.0+hive-", env!("CARGO_PKG_VERSION")), "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux",
    })
}
