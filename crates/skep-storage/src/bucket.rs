//! Which bucket, and who may sign for it.

use std::fmt;

use thiserror::Error;
use url::Url;

/// How a bucket is named in the address of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `https://s3.example.com/bucket/key`: what every store but AWS's newest takes.
    Path,
    /// `https://bucket.s3.example.com/key`.
    Host,
}

/// One bucket of an S3 store.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(crate) inner: rusty_s3::Bucket,
}

/// A bucket that can't be addressed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BucketError {
    /// The endpoint is not where HTTP is spoken.
    #[error(
        "the endpoint `{0}` is no address of a store: expected `https://HOST` or `http://HOST:PORT`, without a path"
    )]
    Endpoint(String),
    /// The name would be another path or another host.
    #[error("`{0}` is no bucket's name: expected 3 to 63 letters, digits, hyphens and dots")]
    Name(String),
}

impl Bucket {
    /// The bucket `name` of the store at `endpoint`. Names with capitals are taken as they are: some stores have such.
    ///
    /// # Errors
    /// When there can be no such bucket.
    pub fn new(
        endpoint: &Url,
        addressing: Addressing,
        name: &str,
        region: &str,
    ) -> Result<Self, BucketError> {
        let is_named_well = (3..=63).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_')
            && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !is_named_well {
            return Err(BucketError::Name(name.to_owned()));
        }
        let is_plain = endpoint.path() == "/"
            && endpoint.query().is_none()
            && endpoint.username().is_empty()
            && matches!(endpoint.scheme(), "http" | "https");
        let refused = || BucketError::Endpoint(endpoint.to_string());
        if !is_plain {
            return Err(refused());
        }
        let style = match addressing {
            Addressing::Path => rusty_s3::UrlStyle::Path,
            Addressing::Host => rusty_s3::UrlStyle::VirtualHost,
        };
        let inner = rusty_s3::Bucket::new(endpoint.clone(), style, name.to_owned(), region.to_owned());
        Ok(Self { inner: inner.map_err(|_| refused())? })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// The store's region, as signatures name it.
    pub fn region(&self) -> &str {
        self.inner.region()
    }

    /// Where its objects are.
    pub fn url(&self) -> &Url {
        self.inner.base_url()
    }
}

/// The region that an endpoint names (`s3.eu-central-003.backblazeb2.com`); where it names none, the oldest one, which stores take.
pub fn region_of(endpoint: &Url) -> &str {
    let named =
        endpoint.host_str().unwrap_or_default().strip_prefix("s3.").and_then(|rest| rest.split_once('.'));
    match named {
        Some((region, "backblazeb2.com" | "amazonaws.com")) => region,
        _ => "us-east-1",
    }
}

/// A key pair of the store. Its secret is never shown.
#[derive(Clone)]
pub struct Credentials {
    pub(crate) inner: rusty_s3::Credentials,
}

impl Credentials {
    /// A pair that lasts.
    pub fn new(id: &str, secret: &str) -> Self {
        Self { inner: rusty_s3::Credentials::new(id, secret) }
    }

    /// A pair that was lent, with the token that says so.
    pub fn lent(id: &str, secret: &str, token: &str) -> Self {
        Self { inner: rusty_s3::Credentials::new_with_token(id, secret, token) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.inner.key()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_names_its_region_need_not_be_told_it() {
        for (endpoint, name) in [
            ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
            ("https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
            ("https://s3.amazonaws.com", "us-east-1"),
            ("https://s3.example.com", "us-east-1"),
            ("http://127.0.0.1:9000", "us-east-1"),
        ] {
            assert_eq!(region_of(&endpoint.parse().unwrap()), name, "{endpoint}");
        }
    }
}
