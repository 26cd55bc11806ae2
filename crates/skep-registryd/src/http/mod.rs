//! The protocol: OCI distribution spec v1.1, all of its endpoints.
//!
//! Repository names contain slashes, so that a path is taken apart from its end. `target` does that; the other modules have
//! one function per endpoint; `refusal` is what a client is told when it cannot have what it asked for.

mod blobs;
mod listing;
mod manifests;
mod range;
mod refusal;
mod target;
mod uploads;

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Query, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{Registry, Shared, StorageError};
use refusal::Refusal;
use target::Target;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

type Answer = Result<Response, Refusal>;

impl Registry {
    /// The protocol as a service. It answers for every path below `/v2/`.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }
}

/// A request's query parameters. Of those that come twice the last counts.
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = route(&registry.shared, request).await.unwrap_or_else(|refusal| {
        tracing::debug!(%method, path, ?refusal, "refused");
        refusal.into_response()
    });
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn route(shared: &Arc<Shared>, request: Request) -> Answer {
    let parameters = Query::try_from_uri(request.uri())
        .map(|Query(parameters)| Parameters(parameters))
        .map_err(|error| Refusal::unsupported(format!("the query string: {error}")))?;
    let target = Target::parse(request.uri().path())?;
    let method = request.method().clone();
    match (method, target) {
        (Method::GET | Method::HEAD, Target::Version) => Ok(version()),
        (Method::GET, Target::Catalog) => listing::catalog(shared, parameters).await,
        (Method::GET, Target::Tags(repository)) => listing::tags(shared, repository, parameters).await,
        (Method::GET, Target::Referrers(repository, digest)) => {
            listing::referrers(shared, repository, digest, parameters).await
        }
        (Method::GET | Method::HEAD, Target::Blob(repository, digest)) => {
            blobs::read(shared, repository, digest, request.method(), request.headers()).await
        }
        (Method::DELETE, Target::Blob(repository, digest)) => blobs::delete(shared, repository, digest).await,
        (Method::POST, Target::Uploads(repository)) => {
            uploads::begin(shared, repository, &parameters, request).await
        }
        (Method::GET, Target::Upload(repository, id)) => uploads::status(shared, &repository, &id),
        (Method::PATCH, Target::Upload(repository, id)) => {
            uploads::append(shared, &repository, &id, request).await
        }
        (Method::PUT, Target::Upload(repository, id)) => {
            uploads::finish(shared, &repository, &id, &parameters, request).await
        }
        (Method::DELETE, Target::Upload(repository, id)) => uploads::cancel(shared, &repository, &id),
        (Method::GET | Method::HEAD, Target::Manifest(repository, reference)) => {
            manifests::read(shared, repository, reference).await
        }
        (Method::PUT, Target::Manifest(repository, reference)) => {
            manifests::push(shared, repository, reference, request).await
        }
        (Method::DELETE, Target::Manifest(repository, reference)) => {
            manifests::delete(shared, repository, reference).await
        }
        (method, _) => {
            Err(Refusal::unsupported(format!("{method} is not a method of {}", request.uri().path())))
        }
    }
}

fn version() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
}

/// Runs `work`, which touches the disk, where it may block.
async fn on_disk<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, Refusal> {
    let shared = Arc::clone(shared);
    Ok(tokio::task::spawn_blocking(move || work(&shared)).await??)
}

/// A response without a body that still says `Content-Length: 0`.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A header's value from text of ours, which is always plain ASCII.
fn value(text: impl AsRef<str>) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text.as_ref())
        .map_err(|_| Refusal::internal("a header cannot be written".to_owned()))
}
