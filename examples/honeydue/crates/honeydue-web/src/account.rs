//! Signing up, in and out.

use axum::{
    Form,
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use honeydue_model::{Login, Registration, SignedIn};
use honeydue_pages::{ClientError, look};

use crate::{
    shown::Gate,
    state::{Web, token},
};

/// `GET /signup`.
pub(crate) async fn signup_form(State(web): State<Web>) -> Response {
    gate(&web, true, String::new(), String::new(), None).await
}

/// `GET /login`.
pub(crate) async fn login_form(State(web): State<Web>) -> Response {
    gate(&web, false, String::new(), String::new(), None).await
}

/// `POST /signup`: opens an account and goes home.
pub(crate) async fn signup(State(web): State<Web>, Form(form): Form<Registration>) -> Response {
    match web.api.post::<_, SignedIn>("/api/auth/register/", None, &form).await {
        Ok(signed_in) => web.signed_in(&signed_in.token, "/home"),
        Err(ClientError::Refused { message, .. }) => {
            gate(&web, true, form.name, form.email, Some(message)).await
        }
        Err(error) => web.failed(&error).await,
    }
}

/// `POST /login`: opens a session and goes home.
pub(crate) async fn login(State(web): State<Web>, Form(form): Form<Login>) -> Response {
    match web.api.post::<_, SignedIn>("/api/auth/login/", None, &form).await {
        Ok(signed_in) => web.signed_in(&signed_in.token, "/home"),
        Err(ClientError::Refused { message, .. }) => {
            gate(&web, false, String::new(), form.email, Some(message)).await
        }
        Err(error) => web.failed(&error).await,
    }
}

/// `POST /logout`: ends the session here even when the api cannot be told.
pub(crate) async fn logout(State(web): State<Web>, headers: HeaderMap) -> Response {
    if let Some(token) = token(&headers)
        && let Err(error) = web.api.act(Method::POST, "/api/auth/logout/", Some(&token)).await
    {
        tracing::warn!(%error, "a session was not ended at the api");
    }
    web.signed_out("/")
}

async fn gate(web: &Web, new_account: bool, name: String, email: String, wrong: Option<String>) -> Response {
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    look::page(status, &Gate { frame: web.frame(None).await, new_account, name, email, wrong })
}
