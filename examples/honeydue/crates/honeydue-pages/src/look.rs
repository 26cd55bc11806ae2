//! The look: one stylesheet for both services, and how a rendered page is sent.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::LazyLock,
};

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

const STYLE: &str = include_str!("../assets/style.css");
const ICON: &str = include_str!("../assets/icon.svg");

/// No scripts, nothing from elsewhere, and no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Where a page finds the stylesheet: the address changes with its contents, so browsers may keep it.
#[must_use]
pub fn style_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        STYLE.hash(&mut hasher);
        format!("/assets/style.css?v={:x}", hasher.finish())
    });
    &PATH
}

/// Handler for `/assets/style.css`.
pub async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=86400")],
        STYLE,
    )
}

/// Handler for `/assets/icon.svg`.
pub async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")], ICON)
}

/// Renders and sends a page that may run our own script, and send files to, and show files of, the bucket at this origin.
pub fn page_with_files(status: StatusCode, template: &impl Template, bucket: Option<&str>) -> Response {
    let mut response = page(status, template);
    let bucket = bucket.unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self' {bucket}; img-src 'self' {bucket}; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    match HeaderValue::from_str(&policy) {
        Ok(policy) => drop(response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy)),
        Err(error) => tracing::error!(%error, bucket, "the bucket's origin can't be told to browsers"),
    }
    response
}

/// Renders and sends a page. Pages show a person's own things, so nobody on the way may keep them.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, Html(html)).into_response();
            let headers = response.headers_mut();
            for (name, value) in [
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (HeaderName::from_static("referrer-policy"), "same-origin"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page was not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
