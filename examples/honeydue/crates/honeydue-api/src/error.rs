//! The one shape of a refusal: `{"error": {"code": …, "message": …, "field": …}}`.
//!
//! `code` is for programs and stays stable; `message` is for people; `field` names the JSON field that a form should mark.
//! What went wrong inside is logged and never sent.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use honeydue_model::Invalid;
use honeydue_store::{StoreError, passwords::HashingError};
use serde_json::json;

/// A request that is not answered as it was asked.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
    retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None }
    }

    /// About this field.
    pub(crate) fn at(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    /// Worth another try after so many seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "log in first: send a session's token as a bearer token",
        )
    }

    fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, cause = error.source().map(tracing::field::display), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
    }
}

impl From<Invalid> for ApiError {
    fn from(Invalid { field, message }: Invalid) -> Self {
        Self { field: Some(field), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::EmailTaken => Self {
                field: Some("email"),
                ..Self::new(StatusCode::CONFLICT, "email_taken", "this e-mail address has an account already")
            },
            StoreError::Cache(error) => {
                tracing::warn!(%error, "sessions can't be ended now");
                let message = "this can't be done right now; nothing has changed, so send it again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "cache_unavailable", message).retry_after(5)
            }
            StoreError::Database(_) | StoreError::Unreadable { .. } => Self::internal(&error),
        }
    }
}

impl From<HashingError> for ApiError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => {
                let message = "too many people log in at this moment; try again in a second";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(1)
            }
            HashingError::Failed { .. } => Self::internal(&error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, code, message, field, retry_after } = self;
        let body = Json(json!({ "error": { "code": code, "message": message, "field": field } }));
        let mut response = (status, body).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
