//! One request from a client to a backend and its response back.
//!
//! A request goes to another backend, or again to the same, only if that cannot make it happen twice: when no byte of it
//! left this process, or once more when its method is idempotent and it has no body.

use std::{error::Error, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{Either, Full};
use hyper::{
    body::{Body, Incoming},
    client::conn::TrySendError,
};

use super::{
    Shared,
    body::{Progress, RequestBody, ResponseBody},
    headers, pool,
    pool::Sender,
    rules::{Route, Rules},
    upgrade::Wish,
};
use crate::roster::Visit;

/// The response to `request`, from a backend or, if none can give one, a short page that says why.
pub(super) async fn forward(
    shared: &Arc<Shared>,
    client: SocketAddr,
    mut request: Request<Incoming>,
) -> Response<ResponseBody> {
    if request.method() == Method::CONNECT {
        return page(
            StatusCode::METHOD_NOT_ALLOWED,
            "this is a reverse proxy: it makes no tunnels\n".to_owned(),
        );
    }
    let wish = Wish::take(&mut request);
    let (mut parts, body) = request.into_parts();
    let host = headers::host(&parts);
    let rules = shared.rules();
    let Some(route) = rules.route(&host, parts.uri.path()) else {
        return page(StatusCode::NOT_FOUND, no_rule(&rules, &host, parts.uri.path()));
    };
    headers::forwarded(&mut parts, &host, client);
    if let Some(wish) = &wish {
        wish.write(&mut parts.headers);
    }
    let body = (!body.is_end_stream()).then_some(body);
    match deliver(shared, &route, parts, body).await {
        Ok((mut response, backend)) => {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS
                && let Some(wish) = wish
            {
                wish.grant(shared, backend, &mut response);
            } else {
                headers::remove_hop_by_hop(response.headers_mut());
            }
            response.map(Either::Left)
        }
        Err(failure) => {
            tracing::debug!(route = route.name, ?failure, "request failed");
            failure.page(&route.name)
        }
    }
}

/// Why a request has no response.
#[derive(Debug)]
enum Failure {
    NoBackend,
    Unreachable { backend: SocketAddr, why: String },
    Broken { backend: SocketAddr, why: String },
    Late { backend: SocketAddr },
}

impl Failure {
    fn page(&self, route: &str) -> Response<ResponseBody> {
        match self {
            Self::NoBackend => page(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{route} has no ready backend: its pods are starting, failing or not there\n"),
            ),
            Self::Unreachable { backend, why } => page(
                StatusCode::BAD_GATEWAY,
                format!("no backend of {route} accepts connections; the last one, {backend}: {why}\n"),
            ),
            Self::Broken { backend, why } => page(
                StatusCode::BAD_GATEWAY,
                format!("the backend {backend} of {route} broke the connection before it answered: {why}\n"),
            ),
            Self::Late { backend } => page(
                StatusCode::GATEWAY_TIMEOUT,
                format!("the backend {backend} of {route} took too long to answer\n"),
            ),
        }
    }
}

/// What became of one attempt.
enum Attempt {
    Answered(Response<Incoming>),
    /// Not a byte was sent: here is the request again.
    Unsent(Request<RequestBody>),
    Broken(String),
    Late,
}

async fn deliver(
    shared: &Arc<Shared>,
    route: &Route,
    parts: Parts,
    body: Option<Incoming>,
) -> Result<(Response<Incoming>, SocketAddr), Failure> {
    let mut again = (parts.method.is_idempotent() && body.is_none()).then(|| parts.clone());
    let max_idle = if again.is_some() { pool::IDLE } else { pool::IDLE_ONCE };
    let progress = Progress::new();
    let mut request = Request::from_parts(parts, RequestBody::new(body, progress.clone()));
    let mut failure = Failure::NoBackend;
    // The second round is for the retries, with connections made for them.
    let turn = route.turn().collect::<Vec<_>>();
    let rounds =
        turn.iter().map(|&backend| (backend, true)).chain(turn.iter().map(|&backend| (backend, false)));
    for (backend, reuse) in rounds {
        let Some(visit) = shared.roster.enter(backend.ip()) else {
            continue;
        };
        let pooled = if reuse { shared.pool.take(backend, max_idle) } else { None };
        let sender = match pooled {
            Some(sender) => sender,
            None => match pool::open(shared, backend).await {
                Ok(sender) => sender,
                Err(error) => {
                    failure = Failure::Unreachable { backend, why: error.to_string() };
                    continue;
                }
            },
        };
        match attempt(shared, backend, sender, request, &progress, visit).await {
            Attempt::Answered(response) => return Ok((response, backend)),
            Attempt::Late => return Err(Failure::Late { backend }),
            Attempt::Unsent(unsent) => {
                request = unsent;
                failure = Failure::Broken { backend, why: "it closed an idle connection".to_owned() };
            }
            Attempt::Broken(why) => {
                failure = Failure::Broken { backend, why };
                let Some(parts) = again.take() else {
                    return Err(failure);
                };
                request = Request::from_parts(parts, RequestBody::new(None, progress.clone()));
            }
        }
    }
    Err(failure)
}

/// Sends `request` on one connection and waits for the head of its response.
async fn attempt(
    shared: &Arc<Shared>,
    backend: SocketAddr,
    mut sender: Sender,
    request: Request<RequestBody>,
    progress: &Progress,
    visit: Visit,
) -> Attempt {
    let limit = shared.config.response_timeout;
    progress.moved();
    let mut pending = std::pin::pin!(sender.try_send_request(request));
    let answer = loop {
        let deadline = progress.last() + limit;
        match tokio::time::timeout_at(deadline, pending.as_mut()).await {
            Ok(answer) => break answer,
            Err(_) if progress.last() + limit > deadline => {}
            Err(_) => return Attempt::Late,
        }
    };
    drop(visit);
    match answer {
        Ok(response) => {
            pool::put_back(shared, backend, sender);
            Attempt::Answered(response)
        }
        Err(error) => broken(error),
    }
}

fn broken(mut error: TrySendError<Request<RequestBody>>) -> Attempt {
    if let Some(request) = error.take_message() {
        return Attempt::Unsent(request);
    }
    let error = error.into_error();
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Attempt::Broken(format!("{error}{cause}"))
}

fn no_rule(rules: &Rules, host: &str, path: &str) -> String {
    let hosts = rules.hosts();
    let known = if hosts.is_empty() {
        "there are no rules yet".to_owned()
    } else {
        format!("hosts with rules: {}", hosts.into_iter().collect::<Vec<_>>().join(", "))
    };
    let host = if host.is_empty() { "a request without a host" } else { host };
    format!("no ingress rule covers {host}{path}\n{known}\n")
}

fn page(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}
