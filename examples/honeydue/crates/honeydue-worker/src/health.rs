//! The worker's own small HTTP face, for probes.

use axum::{Json, Router, extract::State, http::StatusCode, middleware, routing::get};
use honeydue_service::{
    Drain,
    metrics::{self, Metrics},
};
use honeydue_store::Store;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
struct Face {
    store: Store,
    drain: Drain,
}

/// `/health/` (alive) and `/ready/` (database and schema answer).
pub(crate) fn router(store: Store, drain: Drain, counted: Metrics) -> Router {
    Router::new()
        .route("/health/", get(async || Json(json!({ "status": "alive" }))))
        .route("/ready/", get(ready))
        .with_state(Face { store, drain })
        .layer(middleware::from_fn_with_state(counted, metrics::observe))
}

async fn ready(State(face): State<Face>) -> (StatusCode, Json<Value>) {
    if face.drain.has_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "draining" })));
    }
    match face.store.require_schema().await {
        Ok(schema) => (StatusCode::OK, Json(json!({ "status": "ready", "schema": schema }))),
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "not ready", "schema": error.to_string() })),
        ),
    }
}
