//! The page itself: asks the services about themselves, all at once, and shows what each said or why it said nothing.

use axum::{
    Form,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use honeydue_model::Overview;
use honeydue_pages::{ApiClient, ClientError, forms, look};
use honeydue_service::Release;
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
    if !admin.access.admits(&headers, Timestamp::now()) {
        return Redirect::to("/login").into_response();
    }
    let (readiness, overview, api, worker, web) = tokio::join!(
        admin.api.inspect::<Value>("/api/ready/"),
        admin.api.get::<Overview>("/api/keeper/overview/", Some(&admin.keeper_token)),
        running(&admin.api, "/api/version/", "api"),
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
    look::page(StatusCode::OK, &Gate { style: look::style_path(), wrong: false })
}

/// The form at `/login`.
#[derive(Deserialize)]
pub(crate) struct LoginForm {
    password: String,
}

/// `POST /login`.
pub(crate) async fn login(State(admin): State<Admin>, Form(form): Form<LoginForm>) -> Response {
    match admin.access.pass(&form.password, Timestamp::now()) {
        Some(pass) => {
            let cookie = forms::set_cookie(COOKIE, &pass, COOKIE_SECONDS, admin.secure_cookies);
            (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/")).into_response()
        }
        None => look::page(StatusCode::UNAUTHORIZED, &Gate { style: look::style_path(), wrong: true }),
    }
}
