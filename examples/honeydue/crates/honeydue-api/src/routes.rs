//! Every address of the api, with or without the trailing slash.

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use honeydue_service::{client, metrics};

use crate::{auth, error::ApiError, health, keeper, places, state::Api, tasks, uploads};

/// No honest request is larger; the largest field is a task's notes.
const BODY_LIMIT: usize = 64 * 1024;
/// Well below the drain's grace, so that a request that is accepted is also answered.
const REQUEST_WITHIN: Duration = Duration::from_secs(15);

/// The api's router.
pub(crate) fn router(api: Api) -> Router {
    let (counted, proxies) = (api.metrics.clone(), api.proxies);
    Router::new()
        .at("/api/health", get(health::live))
        .at("/api/ready", get(health::ready))
        .at("/api/version", get(health::version))
        .at("/api/auth/register", post(auth::register))
        .at("/api/auth/login", post(auth::login))
        .at("/api/auth/logout", post(auth::logout))
        .at("/api/me", get(auth::me))
        .at("/api/me/delete", post(auth::delete_me))
        .at("/api/residences", get(places::list).post(places::create))
        .at("/api/residences/{id}", get(places::show).delete(places::remove))
        .at("/api/residences/{id}/tasks", get(tasks::list_of_residence).post(tasks::create))
        .at("/api/residences/{id}/documents", get(uploads::documents))
        .at("/api/tasks", get(tasks::list))
        .at("/api/tasks/{id}", get(tasks::show).delete(tasks::remove))
        .at("/api/tasks/{id}/complete", post(tasks::complete))
        .at("/api/tasks/{id}/completions", get(uploads::completions))
        .at("/api/uploads/presign", post(uploads::presign))
        .at("/api/uploads/{id}", axum::routing::delete(uploads::cancel))
        .at("/api/task-completions", post(uploads::complete))
        .at("/api/documents", post(uploads::add_document))
        .at("/api/documents/{id}", axum::routing::delete(uploads::remove_document))
        .at("/api/files/{id}", get(uploads::link))
        .at("/api/reminders", get(tasks::reminders))
        .at("/api/digest", get(tasks::digest))
        .at("/api/keeper/overview", get(keeper::overview))
        .with_state(api)
        .fallback(async || {
            ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this address does not answer that method",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(proxies, client::note_client))
        .layer(middleware::from_fn_with_state(counted, metrics::observe))
}

/// Registers a route under both spellings: `/api/health/`, as the probes and the phone apps have it, and `/api/health`.
trait BothSpellings {
    fn at(self, path: &str, method: MethodRouter<Api>) -> Self;
}

impl BothSpellings for Router<Api> {
    fn at(self, path: &str, method: MethodRouter<Api>) -> Self {
        self.route(path, method.clone()).route(&format!("{path}/"), method)
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "this took too long; try again")
            .into_response(),
    }
}
