//! What handlers share, and the frame around every page.

use axum::{
    http::{HeaderMap, StatusCode},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use honeydue_pages::{ApiClient, ClientError, forms::Cookies, look};
use honeydue_service::{Drain, Release, client::Proxies, metrics::Metrics};

/// The cookie that holds the session's token.
const COOKIE: &str = "honeydue_session";
/// As long as the api keeps a session.
const COOKIE_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Everything that a request may need. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    pub(crate) api: ApiClient,
    pub(crate) release: Release,
    pub(crate) cookies: Cookies,
    pub(crate) proxies: Proxies,
    pub(crate) metrics: Metrics,
    /// Where browsers send files, such as `http://bucket.localhost:8080`; `None` when this honeyDue keeps none.
    pub(crate) bucket: Option<String>,
    pub(crate) drain: Drain,
}

/// What the layout needs: who is signed in, and which releases answer.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) style: &'static str,
    pub(crate) user: Option<String>,
    pub(crate) web: Release,
    pub(crate) api: Option<Release>,
}

impl Web {
    /// The session's token, if the browser has one.
    pub(crate) fn token(&self, headers: &HeaderMap) -> Option<String> {
        self.cookies.get(headers, COOKIE)
    }

    /// Asks the api which release it is, for the footer; a page is shown without it too.
    pub(crate) async fn frame(&self, user: Option<String>) -> Frame {
        let api = self.api.get("/api/version/", None).await.ok();
        Frame { style: look::style_path(), user, web: self.release.clone(), api }
    }

    /// Redirects to `path` with the session kept in a cookie.
    pub(crate) fn signed_in(&self, token: &str, path: &str) -> Response {
        let cookie = self.cookies.set(COOKIE, token, COOKIE_SECONDS);
        (AppendHeaders([(axum::http::header::SET_COOKIE, cookie)]), Redirect::to(path)).into_response()
    }

    /// Redirects to `path` with the cookie deleted.
    pub(crate) fn signed_out(&self, path: &str) -> Response {
        let cookie = self.cookies.set(COOKIE, "", 0);
        (AppendHeaders([(axum::http::header::SET_COOKIE, cookie)]), Redirect::to(path)).into_response()
    }

    /// The page for a call to the api that failed for a reason that no form can show.
    pub(crate) async fn failed(&self, error: &ClientError) -> Response {
        if error.is_unauthorized() {
            return self.signed_out("/login");
        }
        let (status, heading, advice) = match error {
            ClientError::Refused { status: StatusCode::NOT_FOUND, .. } => (
                StatusCode::NOT_FOUND,
                "That is not here any more",
                "It may have been done or deleted in another window.",
            ),
            ClientError::Refused { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "That did not work", "Go back and try again.")
            }
            ClientError::Unreachable { .. } | ClientError::Garbled { .. } => {
                tracing::error!(%error, "the api failed a page");
                (
                    StatusCode::BAD_GATEWAY,
                    "We can't reach your house book right now",
                    "Nothing is lost. Give it a moment and load this page again.",
                )
            }
        };
        let page = crate::shown::Trouble { frame: self.frame(None).await, heading, advice };
        look::page(status, &page)
    }
}
