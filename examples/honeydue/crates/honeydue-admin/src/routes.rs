//! Every address of the page.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    middleware,
    routing::get,
};
use honeydue_pages::{forms, look};
use honeydue_service::{client, metrics};
use serde_json::{Value, json};

use crate::{overview, state::Admin};

/// The page's router.
pub(crate) fn router(admin: Admin) -> Router {
    let (counted, proxies) = (admin.metrics.clone(), admin.proxies);
    Router::new()
        .route("/", get(overview::show))
        .route("/login", get(overview::login_form).post(overview::login))
        .route("/health/", get(async || Json(json!({ "status": "alive" }))))
        .route("/ready/", get(ready))
        .with_state(admin)
        .route("/assets/style.css", get(look::style))
        .route("/assets/icon.svg", get(look::icon))
        .layer(DefaultBodyLimit::max(16 * 1024))
        .layer(middleware::from_fn(forms::same_origin))
        .layer(middleware::from_fn_with_state(proxies, client::note_client))
        .layer(middleware::from_fn_with_state(counted, metrics::observe))
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, Json<Value>) {
    if admin.drain.has_begun() {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "draining" })))
    } else {
        (StatusCode::OK, Json(json!({ "status": "ready" })))
    }
}
