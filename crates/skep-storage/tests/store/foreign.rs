//! A store that runs already, as `SKEP_TEST_S3` says: `http://key-id:secret@127.0.0.1:3900`. See `scripts/test-garage`.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use rusty_s3::{Bucket, S3Action, UrlStyle};
use skep_storage::region_of;
use url::Url;

const MINUTE: Duration = Duration::from_secs(60);

/// The store, and what is asked of it by hand: signed by another library than ours.
pub(crate) struct Foreign {
    pub(crate) endpoint: Url,
    pub(crate) id: String,
    pub(crate) secret: String,
    http: Client,
}

impl Foreign {
    pub(crate) fn from_environment(http: &Client) -> Option<Self> {
        let mut endpoint: Url =
            std::env::var("SKEP_TEST_S3").ok()?.parse().expect("SKEP_TEST_S3 is a URL with a key pair");
        let id = endpoint.username().to_owned();
        let secret = endpoint.password().expect("SKEP_TEST_S3 has a secret").to_owned();
        endpoint.set_username("").unwrap();
        endpoint.set_password(None).unwrap();
        Some(Self { endpoint, id, secret, http: http.clone() })
    }

    /// Makes a bucket.
    pub(crate) async fn make(&self, bucket: &str) {
        let url = self.bucket(bucket).create_bucket(&self.signs()).sign(MINUTE);
        self.http.put(url).send().await.unwrap().error_for_status().unwrap();
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let url = self.bucket(bucket).put_object(Some(&self.signs()), key).sign(MINUTE);
        self.http.put(url).body(bytes.to_vec()).send().await.unwrap().error_for_status().unwrap();
    }

    pub(crate) async fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let url = self.bucket(bucket).get_object(Some(&self.signs()), key).sign(MINUTE);
        let answer = self.http.get(url).send().await.unwrap();
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        Some(answer.error_for_status().unwrap().bytes().await.unwrap().to_vec())
    }

    pub(crate) async fn is_empty(&self, bucket: &str) -> bool {
        let url = self.bucket(bucket).list_objects_v2(Some(&self.signs())).sign(MINUTE);
        let list = self.http.get(url).send().await.unwrap().error_for_status().unwrap();
        !list.text().await.unwrap().contains("<Key>")
    }

    fn bucket(&self, name: &str) -> Bucket {
        let region = region_of(&self.endpoint).to_owned();
        Bucket::new(self.endpoint.clone(), UrlStyle::Path, name.to_owned(), region).unwrap()
    }

    fn signs(&self) -> rusty_s3::Credentials {
        rusty_s3::Credentials::new(&self.id, &self.secret)
    }
}
