//! Signing up, in and out.

use axum::{
    Extension, Form,
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use honeydue_model::{Login, Registration, SignedIn};
use honeydue_pages::{ClientError, look};
use honeydue_service::client::ClientAddress;

use crate::{shown::Gate, state::Web};

/// `GET /signup`.
pub(crate) async fn signup_form(State(web): State<Web>) -> Response {
    gate(&web, true, String::new(), String::new(), None).await
}

/// `GET /login`.
pub(crate) async fn login_form(State(web): State<Web>) -> Response {
    gate(&web, false, String::new(), String::new(), None).await
}

/// `POST /signup`: opens an account and goes home.
pub(crate) async fn signup(
    State(web): State<Web>,
    Extension(client): Extension<ClientAddress>,
    Form(form): Form<Registration>,
) -> Response {
    match web.api.on_behalf_of(client).post::<_, SignedIn>("/api/auth/register/", None, &form).await {
        Ok(signed_in) => web.signed_in(&signed_in.token, "/home"),
        Err(ClientError::Refused { status, message, .. }) => {
            gate(&web, true, form.name, form.email, Some((status, message))).await
        }
        Err(error) => web.failed(&error).await,
    }
}

/// `POST /login`: opens a session and goes home.
pub(crate) async fn login(
    State(web): State<Web>,
    Extension(client): Extension<ClientAddress>,
    Form(form): Form<Login>,
) -> Response {
    match web.api.on_behalf_of(client).post::<_, SignedIn>("/api/auth/login/", None, &form).await {
        Ok(signed_in) => web.signed_in(&signed_in.token, "/home"),
        Err(ClientError::Refused { status, message, .. }) => {
            gate(&web, false, String::new(), form.email, Some((status, message))).await
        }
        Err(error) => web.failed(&error).await,
    }
}

/// `POST /logout`: ends the session here even when the api cannot be told.
pub(crate) async fn logout(State(web): State<Web>, headers: HeaderMap) -> Response {
    if let Some(token) = web.token(&headers)
        && let Err(error) = web.api.act(Method::POST, "/api/auth/logout/", Some(&token)).await
    {
        tracing::warn!(%error, "a session was not ended at the api");
    }
    web.signed_out("/")
}

async fn gate(
    web: &Web,
    new_account: bool,
    name: String,
    email: String,
    refused: Option<(StatusCode, String)>,
) -> Response {
    let (status, wrong) = match refused {
        // Whoever counts answers sees that it is about how many come, and not about the form.
        Some((status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE), wrong)) => {
            (status, Some(wrong))
        }
        Some((_, wrong)) => (StatusCode::UNPROCESSABLE_ENTITY, Some(wrong)),
        None => (StatusCode::OK, None),
    };
    look::page(status, &Gate { frame: web.frame(None).await, new_account, name, email, wrong })
}
