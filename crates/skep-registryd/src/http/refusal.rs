//! Errors as the distribution spec writes them: `{"errors": [{"code": …, "message": …}]}`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::{StorageError, manifests::PushError, uploads::UploadError};

/// A response that says no.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// One of the spec's codes, or one of ours where it has none.
    code: &'static str,
    message: String,
    /// Boxed, because every answer has room for a refusal.
    pub(super) headers: Box<HeaderMap>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message, headers: Box::default() }
    }

    pub(super) fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn unsupported(message: String) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    pub(super) fn internal(message: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
    }

    pub(super) fn name(name: &str) -> Self {
        let message =
            format!("`{name}` is not a repository name: expected lower-case words joined by `/ . _ -`");
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", message)
    }

    pub(super) fn reference(text: &str) -> Self {
        let message = format!("`{text}` is neither a tag nor a digest (`sha256:` and 64 hex digits)");
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(super) fn digest(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        (self.status, *self.headers, Json(body)).into_response()
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full(_) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "INSUFFICIENT_STORAGE", error.to_string())
            }
            StorageError::Io { ref source, .. } => Self::internal(format!("{error}: {source}")),
            StorageError::Damaged { .. } => Self::internal(error.to_string()),
        }
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        let message = error.to_string();
        match error {
            UploadError::Digest { .. } => Self::digest(message),
            UploadError::Gap { .. } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
            }
            UploadError::Size { .. } => Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message),
            UploadError::Interrupted(_) => Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message),
            UploadError::Storage(error) => error.into(),
        }
    }
}

impl From<PushError> for Refusal {
    fn from(error: PushError) -> Self {
        let message = error.to_string();
        match error {
            PushError::Digest { .. } => Self::digest(message),
            PushError::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message),
            PushError::BlobUnknown { .. } | PushError::ManifestUnknown { .. } => {
                Self::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message)
            }
            PushError::Storage(error) => error.into(),
        }
    }
}

impl From<tokio::task::JoinError> for Refusal {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error.to_string())
    }
}
