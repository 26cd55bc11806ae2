//! A store that runs already and that nobody here wrote, as `SKEP_TEST_S3` says: `http://key-id:secret@127.0.0.1:3900`. What tests do to
//! it by hand is signed by another library than ours.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::StatusCode,
    response::Response,
};
use reqwest::Client;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle, actions::ListObjectsV2};
use url::Url;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
const LARGEST: usize = 16 << 20;

/// A bucket of one test's own.
pub(crate) struct There {
    bucket: Bucket,
    credentials: Credentials,
    endpoint: Url,
}

impl There {
    /// Makes the bucket; `None` when no store is named.
    pub(crate) fn from_environment() -> Option<Self> {
        let mut endpoint: Url =
            std::env::var("SKEP_TEST_S3").ok()?.parse().expect("SKEP_TEST_S3 is a URL with a key pair");
        let secret = endpoint.password().expect("SKEP_TEST_S3 has a secret").to_owned();
        let credentials = Credentials::new(endpoint.username(), secret);
        endpoint.set_username("").unwrap();
        endpoint.set_password(None).unwrap();
        let name = format!("honeydue-{}", Uuid::new_v4());
        let region = skep_storage::region_of(&endpoint).to_owned();
        let bucket = Bucket::new(endpoint.clone(), UrlStyle::Path, name, region).unwrap();
        let there = Self { bucket, credentials, endpoint };
        there.ask(there.bucket.create_bucket(&there.credentials).sign(MINUTE), Client::put, &[]).unwrap();
        Some(there)
    }

    /// Key, secret and bucket.
    pub(crate) fn access(&self) -> (String, String, String) {
        let Self { credentials, bucket, .. } = self;
        (credentials.key().to_owned(), credentials.secret().to_owned(), bucket.name().to_owned())
    }

    /// Hands each request on as it came: what was signed names the address that it was sent to.
    pub(crate) fn router(&self) -> Router {
        let (http, endpoint) = (client(), self.endpoint.clone());
        Router::new().fallback(move |request: Request| {
            let (http, endpoint) = (http.clone(), endpoint.clone());
            async move {
                let (head, body) = request.into_parts();
                let mut url = endpoint;
                url.set_path(head.uri.path());
                url.set_query(head.uri.query());
                let Ok(body) = to_bytes(body, LARGEST).await else { return bad_gateway() };
                let mut headers = head.headers;
                if !headers.contains_key("content-length") {
                    headers.remove("transfer-encoding");
                }
                let sent = http.request(head.method, url).headers(headers).body(body).send().await;
                let Ok(answer) = sent else { return bad_gateway() };
                let (status, headers) = (answer.status(), answer.headers().clone());
                let Ok(bytes) = answer.bytes().await else { return bad_gateway() };
                let mut response = Response::new(Body::from(bytes));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
        })
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let url = self.bucket.get_object(Some(&self.credentials), key).sign(MINUTE);
        self.ask(url, Client::get, &[])
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let url = self.bucket.put_object(Some(&self.credentials), key).sign(MINUTE);
        self.ask(url, Client::put, bytes).unwrap();
    }

    pub(crate) fn remove(&self, key: &str) {
        let url = self.bucket.delete_object(Some(&self.credentials), key).sign(MINUTE);
        self.ask(url, Client::delete, &[]).unwrap();
    }

    /// Every key, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let (mut keys, mut token) = (Vec::new(), None);
        loop {
            let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
            if let Some(token) = token.take() {
                list.with_continuation_token(token);
            }
            let page = self.ask(list.sign(MINUTE), Client::get, &[]).unwrap();
            let page = ListObjectsV2::parse_response(&String::from_utf8(page).unwrap()).unwrap();
            // Its listings are URL-encoded, of which none of our keys has need.
            keys.extend(page.contents.into_iter().map(|object| object.key.replace("%2F", "/")));
            token = page.next_continuation_token;
            if token.is_none() {
                keys.sort();
                return keys;
            }
        }
    }

    /// Asks from a thread of its own, because tests ask while their own runtime waits. `None` when there is no such object.
    fn ask(
        &self,
        url: Url,
        method: fn(&Client, Url) -> reqwest::RequestBuilder,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let answered = async {
            let answer = method(&client(), url).body(bytes.to_vec()).send().await.unwrap();
            if answer.status() == StatusCode::NOT_FOUND {
                return None;
            }
            Some(answer.error_for_status().unwrap().bytes().await.unwrap().to_vec())
        };
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(answered)
            });
            asked.join().unwrap()
        })
    }
}

fn client() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().build().unwrap()
}

fn bad_gateway() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
