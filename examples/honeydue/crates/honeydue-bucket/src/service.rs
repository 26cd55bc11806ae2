//! The store as a router.

use std::{fs, path::PathBuf};

use axum::{
    Router,
    error_handling::HandleError,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    routing::get,
};
use s3s::{HttpError, auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tower_http::{
    cors::{AllowOrigin, CorsLayer},
    set_header::SetResponseHeaderLayer,
};

/// Which bucket, for whom.
#[derive(Clone)]
pub struct Settings {
    /// Where objects lie: one folder for each bucket.
    pub root: PathBuf,
    /// The bucket's name.
    pub bucket: String,
    /// The one key pair that may sign.
    pub key_id: String,
    /// Its secret.
    pub secret: String,
    /// The pages that may send and read, such as `http://web.localhost:8080`.
    pub origins: Vec<HeaderValue>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("root", &self.root)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// A store that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// Its folder can't be used.
    #[error("{}: the bucket's folder can't be used: {why}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// The store, and its health at `/health/`.
///
/// # Errors
/// When the folder can't be used.
pub fn router(settings: &Settings) -> Result<Router, BucketError> {
    let path = settings.root.join(&settings.bucket);
    let refused = |why: String| BucketError::Folder { path: path.clone(), why };
    fs::create_dir_all(&path).map_err(|error| refused(error.to_string()))?;
    let files = FileSystem::new(&settings.root).map_err(|error| refused(format!("{error:?}")))?;
    let mut store = S3ServiceBuilder::new(files);
    store.set_auth(SimpleAuth::from_single(&settings.key_id, settings.secret.as_str()));
    let failed = async |error: HttpError| {
        tracing::error!(?error, "a request of the store failed");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let checksum = HeaderName::from_static("x-amz-checksum-sha256");
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(settings.origins.iter().cloned()))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
        .allow_headers([header::CONTENT_TYPE, checksum])
        .expose_headers([header::ETAG])
        .max_age(std::time::Duration::from_secs(3600));
    // What is served was sent by strangers: it is what it is said to be, or nothing.
    let as_said = SetResponseHeaderLayer::overriding(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    Ok(Router::new()
        .route("/health/", get(async || "alive"))
        .fallback_service(HandleError::new(store.build(), failed))
        .layer(as_said)
        .layer(cors))
}
