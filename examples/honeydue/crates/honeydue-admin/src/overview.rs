//! The page itself: asks the services about themselves, all at once, and shows what each said or why it said nothing.

use std::time::Instant;

use axum::{
    Extension, Form,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use honeydue_model::Overview;
use honeydue_pages::{ApiClient, ClientError, look};
use honeydue_service::{Release, client::ClientAddress};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    access::{COOKIE, COOKIE_SECONDS},
    shown::{Check, Gate, Page, Running, checks},
    state::Admin,
};

/// `GET /`.
pub(crate) async fn show(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    if !admin.access.admits(admin.cookies, &headers, Timestamp::now()) {
        return Redirect::to("/login").into_response();
    }
    let (readiness, overview, api, worker, web) = tokio::join!(
        admin.api.inspect::<Value>("/api/ready/"),
        admin.api.get::<Overview>("/api/keeper/overview/", Some(&admin.keeper_token)),
        running(&admin.api_internal, "/version", "api"),
        running(&admin.worker, "/version", "worker"),
        running(&admin.web, "/version", "web"),
    );
    let page = Page {
        style: look::style_path(),
        ready: matches!(&readiness, Ok((StatusCode::OK, _))),
        checks: match &readiness {
            Ok((_, details)) => checks(details),
            Err(error) => vec![Check::failed("api", error.to_string())],
        },
        running: vec![api, worker, web, Running::known(admin.release.clone())],
        trouble: overview.as_ref().err().map(ClientError::to_string),
        overview: overview.ok(),
        environment: admin.release.environment,
        greeting: admin.release.greeting,
    };
    look::page(StatusCode::OK, &page)
}

async fn running(client: &ApiClient, path: &str, service: &str) -> Running {
    match client.get::<Release>(path, None).await {
        Ok(release) => Running::known(release),
        Err(error) => Running::away(service, &error),
    }
}

/// `GET /login`.
pub(crate) async fn login_form() -> Response {
    look::page(StatusCode::OK, &Gate { style: look::style_path(), wrong: None })
}

/// The form at `/login`.
#[derive(Deserialize)]
pub(crate) struct LoginForm {
    password: String,
}

/// `POST /login`.
pub(crate) async fn login(
    State(admin): State<Admin>,
    Extension(client): Extension<ClientAddress>,
    Form(form): Form<LoginForm>,
) -> Response {
    let refused = |status, wrong| look::page(status, &Gate { style: look::style_path(), wrong: Some(wrong) });
    let client = client.network();
    // Counted before it is checked, so that concurrent requests can not exceed the limit.
    if let Err(wait) = admin.throttle.attempt(&client, Instant::now()) {
        let mut response =
            refused(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Try again in some minutes.");
        response.headers_mut().insert(header::RETRY_AFTER, (wait.as_secs() + 1).into());
        return response;
    }
    match admin.access.pass(&form.password, Timestamp::now()) {
        Some(pass) => {
            admin.throttle.forgive(&client);
            let cookie = admin.cookies.set(COOKIE, &pass, COOKIE_SECONDS);
            (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/")).into_response()
        }
        None => {
            tracing::warn!(client, "a wrong admin password was given");
            refused(StatusCode::UNAUTHORIZED, "Wrong password")
        }
    }
}
