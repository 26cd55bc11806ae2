//! The api's client: JSON over plain HTTP inside the cluster, with a deadline on every call.

use std::time::Duration;

use bytes::Bytes;
use honeydue_service::client::{ClientAddress, FORWARDED_FOR};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longer than the api's own limit, so that its answer and not our impatience is what a person sees.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// No answer of the api is larger.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// Talks to one api. Clones share its connections.
#[derive(Debug, Clone)]
pub struct ApiClient {
    base: String,
    /// The client that it asks for; `None` for itself.
    client: Option<ClientAddress>,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// A call that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer: the api is down, or the way to it is.
    #[error("the api does not answer at {url}: {reason}")]
    Unreachable {
        /// What was called.
        url: String,
        /// What went wrong on the way.
        reason: String,
    },
    /// The api answered no.
    #[error("{message}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// For programs: `invalid`, `email_taken`, …
        code: String,
        /// For people.
        message: String,
        /// The field of the request that is at fault, if one is.
        field: Option<String>,
    },
    /// The api answered something that this build cannot read.
    #[error("the api's answer from {url} cannot be read: {reason}")]
    Garbled {
        /// What was called.
        url: String,
        /// What was wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// True when the session is not, or no longer, valid.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::UNAUTHORIZED, code, .. } if code == "unauthorized")
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalBody,
}

#[derive(Deserialize)]
struct RefusalBody {
    code: String,
    message: String,
    field: Option<String>,
}

impl ApiClient {
    /// A client for the api at `base`, such as `http://api:8000`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(3)));
        // Shorter than servers keep an idle connection, so that a call is not sent into one that is being closed.
        let http =
            Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(5)).build(connector);
        Self { base: base.trim_end_matches('/').to_owned(), client: None, http }
    }

    /// Returns a client whose requests count against the limits of `client` at the api.
    #[must_use]
    pub fn on_behalf_of(&self, client: ClientAddress) -> Self {
        Self { client: Some(client), ..self.clone() }
    }

    /// GETs `path` as whoever `token` stands for.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, token: Option<&str>) -> Result<T, ClientError> {
        let (status, body) = self.call(Method::GET, path, token, None).await?;
        self.read(path, status, &body)
    }

    /// GETs `path` and answers its JSON whatever the status, for addresses whose refusals carry details (readiness).
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] and [`ClientError::Garbled`] only.
    pub async fn inspect<T: DeserializeOwned>(&self, path: &str) -> Result<(StatusCode, T), ClientError> {
        let (status, body) = self.call(Method::GET, path, None, None).await?;
        Ok((status, self.parse(path, &body)?))
    }

    /// POSTs `body` as JSON.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &B,
    ) -> Result<T, ClientError> {
        let json = serde_json::to_vec(body)
            .map_err(|error| ClientError::Garbled { url: self.url(path), reason: error.to_string() })?;
        let (status, body) = self.call(Method::POST, path, token, Some(json)).await?;
        self.read(path, status, &body)
    }

    /// POSTs nothing and expects nothing back.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn act(&self, method: Method, path: &str, token: Option<&str>) -> Result<(), ClientError> {
        let (status, body) = self.call(method, path, token, None).await?;
        if status.is_success() { Ok(()) } else { Err(self.refusal(path, status, &body)) }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let url = self.url(path);
        let unreachable = |reason: String| ClientError::Unreachable { url: url.clone(), reason };
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(client) = self.client {
            request = request.header(FORWARDED_FOR, client.to_string());
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| unreachable(in_full(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT)
                .collect()
                .await
                .map_err(|error| unreachable(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        match tokio::time::timeout(ANSWER_WITHIN, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(unreachable(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        status: StatusCode,
        body: &[u8],
    ) -> Result<T, ClientError> {
        if status.is_success() { self.parse(path, body) } else { Err(self.refusal(path, status, body)) }
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body)
            .map_err(|error| ClientError::Garbled { url: self.url(path), reason: error.to_string() })
    }

    fn refusal(&self, path: &str, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice(body) {
            Ok(Refusal { error: RefusalBody { code, message, field } }) => {
                ClientError::Refused { status, code, message, field }
            }
            // A proxy on the way answers in its own words.
            Err(_) => ClientError::Unreachable { url: self.url(path), reason: format!("status {status}") },
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
