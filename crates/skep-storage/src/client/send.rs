//! One request, and again while the store is too busy for it.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Response, header::HeaderMap};
use rusty_s3::signing::sign;
use url::Url;

use super::{Client, StoreError, listing::SIGNED_FOR, xml};

/// How often a request is sent at the most.
const TRIES: u32 = 3;
/// The pause before the second try; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, whatever the store asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A request with its signature.
pub(crate) struct Signed {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Signed {
    pub(crate) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: String::new() }
    }
}

impl Client {
    /// Sends what `signed` makes for the moment, until an answer comes that is not "too busy". Answers of the 400s are the caller's.
    pub(crate) async fn send(
        &self,
        what: &'static str,
        signed: impl Fn(Timestamp) -> Signed,
    ) -> Result<Response, StoreError> {
        self.send_within(what, self.answer_within, signed).await
    }

    /// The same, with a time of its own for the whole answer, its bytes included.
    pub(crate) async fn send_within(
        &self,
        what: &'static str,
        within: Duration,
        signed: impl Fn(Timestamp) -> Signed,
    ) -> Result<Response, StoreError> {
        let mut tries = 1;
        loop {
            let Signed { method, url, headers, body } = signed(Timestamp::now());
            let request = self.http.request(method, url).headers(headers).body(body).timeout(within);
            let (failed, pause) = match request.send().await {
                Ok(response) if !is_busy(response.status().as_u16()) => return Ok(response),
                Ok(response) => {
                    let retry_after = retry_after(response.headers());
                    let status = response.status().as_u16();
                    (StoreError::Busy { what, status, retry_after }, retry_after)
                }
                Err(error) => (StoreError::Unreachable { what, why: why(error) }, None),
            };
            if tries >= TRIES {
                return Err(failed);
            }
            let doubled = FIRST_PAUSE * 2_u32.pow(tries - 1);
            tokio::time::sleep(pause.unwrap_or(doubled).clamp(doubled, LONGEST_PAUSE)).await;
            tries += 1;
        }
    }

    /// The text of an answer that is a success.
    pub(crate) async fn text(&self, what: &'static str, response: Response) -> Result<String, StoreError> {
        let status = response.status().as_u16();
        let is_success = response.status().is_success();
        let text =
            response.text().await.map_err(|error| StoreError::Unreachable { what, why: why(error) })?;
        if is_success { Ok(text) } else { Err(refused(what, status, &text)) }
    }

    /// An answer that is none of success, as an error.
    pub(crate) async fn refusal(&self, what: &'static str, response: Response) -> StoreError {
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        refused(what, status, &text)
    }
}

pub(super) fn refused(what: &'static str, status: u16, text: &str) -> StoreError {
    let xml::Failure { code, message } = xml::failure(text).unwrap_or_default();
    StoreError::Refused { what, status, code, message }
}

impl Client {
    /// The bucket's address with a signature, for requests that the library of S3 has no name for. `query` is sorted by name.
    pub(crate) fn signed_for(&self, now: Timestamp, method: rusty_s3::Method, query: &[(&str, &str)]) -> Url {
        sign(
            &now,
            method,
            self.bucket.url().clone(),
            self.credentials.inner.key(),
            self.credentials.inner.secret(),
            self.credentials.inner.token(),
            self.bucket.region(),
            SIGNED_FOR.as_secs(),
            query.iter().copied(),
            std::iter::empty(),
        )
    }
}

/// 501 is no "later": it is "never".
fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=599)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get("retry-after")?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// What kept an answer, to the innermost cause, without the address.
pub(crate) fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "not in time".to_owned() } else { cause.to_string() }
}
