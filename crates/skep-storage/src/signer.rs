//! Signing: from what is allowed to what a client can use.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use rusty_s3::S3Action as _;
use url::Url;

use crate::{Bucket, Credentials, Presigned, Upload, form};

/// The longest that a signature may live. Some stores refuse a form that was signed more than 15 minutes ago, whatever it says.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Signs uploads to a bucket, and downloads from it.
#[derive(Debug, Clone)]
pub struct Signer {
    bucket: Bucket,
    credentials: Credentials,
}

/// How an object is to be handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Download {
    /// The name under which a browser saves it. It is never shown in the page: what is served there was sent by a stranger.
    pub file_name: String,
    /// What it is told to be, whatever the store has noted.
    pub content_type: String,
}

impl Signer {
    /// Who signs, and for which bucket.
    pub fn new(bucket: Bucket, credentials: Credentials) -> Self {
        Self { bucket, credentials }
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// A form that brings exactly this upload. It lives for `lives`, and never longer than [`LONGEST`].
    #[must_use]
    pub fn post(&self, upload: &Upload, now: Timestamp, lives: Duration) -> Presigned {
        let lives = SignedDuration::try_from(lives.min(LONGEST)).unwrap_or(SignedDuration::ZERO);
        let expires = now.saturating_add(lives).unwrap_or(Timestamp::MAX);
        let fields = form::fields(&self.bucket, &self.credentials, upload, now, expires);
        Presigned::Post { url: form::address(&self.bucket), fields }
    }

    /// A URL that takes exactly this upload.
    #[must_use]
    pub fn put(&self, upload: &Upload, now: Timestamp, lives: Duration) -> Presigned {
        let mut headers = vec![
            ("content-length", upload.content_length.to_string()),
            ("content-type", upload.content_type.clone()),
        ];
        if let Some(sha256) = upload.sha256 {
            headers.push(("x-amz-checksum-sha256", BASE64_STANDARD.encode(sha256)));
        }
        let mut action = self.bucket.inner.put_object(Some(&self.credentials.inner), &upload.key);
        for (name, value) in &headers {
            action.headers_mut().insert(*name, value.clone());
        }
        Presigned::Put { url: action.sign_with_time(lives.min(LONGEST), &now), headers }
    }

    /// A URL that hands an object out, as a file to be saved.
    #[must_use]
    pub fn get(&self, key: &str, download: &Download, now: Timestamp, lives: Duration) -> Url {
        let mut action = self.bucket.inner.get_object(Some(&self.credentials.inner), key);
        let query = action.query_mut();
        query.insert("response-content-disposition", disposition(&download.file_name));
        if !download.content_type.is_empty() {
            query.insert("response-content-type", download.content_type.clone());
        }
        action.sign_with_time(lives.min(LONGEST), &now)
    }
}

/// `attachment`, with the name as RFC 6266 has it: in ASCII for old readers, and in full for all others.
fn disposition(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " .-_()".contains(c);
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if name.is_empty() {
        return "attachment".to_owned();
    }
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let full: String = name
        .bytes()
        .map(|byte| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_end_the_header_nor_leave_the_quotes() {
        assert_eq!(disposition("roof.jpg"), "attachment; filename=\"roof.jpg\"");
        assert_eq!(disposition(""), "attachment");
        assert_eq!(
            disposition("a\"\r\nx: ü/..\\b"),
            "attachment; filename=\"a___x_ __.._b\"; filename*=UTF-8''a%22%0D%0Ax%3A%20%C3%BC%2F..%5Cb"
        );
    }
}
