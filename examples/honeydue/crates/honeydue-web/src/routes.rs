//! Every address of the pages.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    middleware,
    response::Response,
    routing::{get, post},
};
use honeydue_pages::{forms, look};
use honeydue_service::{client, metrics};
use serde_json::{Value, json};

use crate::{account, files, home, shown::Trouble, state::Web};

/// The pages' router.
pub(crate) fn router(web: Web) -> Router {
    let (counted, proxies) = (web.metrics.clone(), web.proxies);
    Router::new()
        .route("/", get(home::landing))
        .route("/home", get(home::home))
        .route("/residences", post(home::add_residence))
        .route("/residences/{id}/delete", post(home::delete_residence))
        .route("/tasks", post(home::add_task))
        .route("/tasks/{id}/complete", post(home::complete_task))
        .route("/tasks/{id}/delete", post(home::delete_task))
        .route("/tasks/{id}/done", get(files::done).post(files::complete))
        .route("/residences/{id}/documents", get(files::documents).post(files::add_document))
        .route("/documents/{id}/delete", post(files::delete_document))
        .route("/uploads/presign", post(files::presign))
        .route("/uploads/{id}/cancel", post(files::cancel))
        .route("/files/{id}", get(files::file))
        .route("/signup", get(account::signup_form).post(account::signup))
        .route("/login", get(account::login_form).post(account::login))
        .route("/logout", post(account::logout))
        .route("/health/", get(async || Json(json!({ "status": "alive" }))))
        .route("/ready/", get(ready))
        .fallback(nothing_here)
        .with_state(web)
        .route("/assets/style.css", get(look::style))
        .route("/assets/icon.svg", get(look::icon))
        .route("/assets/upload.js", get(files::script))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .layer(middleware::from_fn(forms::same_origin))
        .layer(middleware::from_fn_with_state(proxies, client::note_client))
        .layer(middleware::from_fn_with_state(counted, metrics::observe))
}

/// Ready until told to leave. The api's readiness is its own: a page that says "the api is away" beats no page.
async fn ready(State(web): State<Web>) -> (StatusCode, Json<Value>) {
    if web.drain.has_begun() {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "draining" })))
    } else {
        (StatusCode::OK, Json(json!({ "status": "ready" })))
    }
}

async fn nothing_here(State(web): State<Web>) -> Response {
    let page = Trouble {
        frame: web.frame(None).await,
        heading: "There is no such page",
        advice: "The address may be mistyped. Everything you have starts at the front page.",
    };
    look::page(StatusCode::NOT_FOUND, &page)
}
