//! POST policies: what a form may bring, as a signed document that goes with it.
//!
//! The store refuses a form that has a field which no condition names, or one that a condition names and that differs. Every condition
//! here is an equality, the size too: from so many bytes to as many.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use ring::hmac;
use serde_json::json;
use url::Url;

use crate::{Bucket, Credentials, Upload};

/// Signature version 4, as forms and URLs name it.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Where a form goes: to the bucket itself.
pub(crate) fn address(bucket: &Bucket) -> Url {
    let mut url = bucket.url().clone();
    // `https://store/bucket/` would be the object with no name.
    if let Some(path) = url.path().strip_suffix('/').filter(|path| !path.is_empty()).map(str::to_owned) {
        url.set_path(&path);
    }
    url
}

/// The fields of the form, all but the file.
pub(crate) fn fields(
    bucket: &Bucket,
    credentials: &Credentials,
    upload: &Upload,
    now: Timestamp,
    expires: Timestamp,
) -> Vec<(&'static str, String)> {
    let day = now.strftime("%Y%m%d").to_string();
    let scope = format!("{}/{day}/{}/s3/aws4_request", credentials.inner.key(), bucket.region());
    let mut fields = vec![
        ("key", upload.key.clone()),
        ("Content-Type", upload.content_type.clone()),
        ("success_action_status", "201".to_owned()),
        ("x-amz-algorithm", ALGORITHM.to_owned()),
        ("x-amz-credential", scope),
        ("x-amz-date", now.strftime("%Y%m%dT%H%M%SZ").to_string()),
    ];
    if let Some(sha256) = upload.sha256 {
        // Garage compares a form's checksum only when it is told by which algorithm.
        fields.push(("x-amz-checksum-algorithm", "SHA256".to_owned()));
        fields.push(("x-amz-checksum-sha256", BASE64_STANDARD.encode(sha256)));
    }
    if let Some(token) = credentials.inner.token().filter(|token| !token.is_empty()) {
        fields.push(("x-amz-security-token", token.to_owned()));
    }
    let mut conditions = vec![
        json!({"bucket": bucket.name()}),
        json!(["content-length-range", upload.content_length, upload.content_length]),
    ];
    conditions.extend(fields.iter().map(|(name, value)| json!(["eq", format!("${name}"), value])));
    let expiration = expires.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let policy = json!({"expiration": expiration, "conditions": conditions}).to_string();
    let policy = BASE64_STANDARD.encode(policy);
    let signature = signature(credentials.inner.secret(), &day, bucket.region(), &policy);
    fields.extend([("policy", policy), ("x-amz-signature", signature)]);
    fields
}

/// Signs the very text that is sent.
fn signature(secret: &str, day: &str, region: &str, policy: &str) -> String {
    let first = format!("AWS4{secret}").into_bytes();
    let key = [day, region, "s3", "aws4_request"].iter().fold(first, |key, part| keyed(&key, part));
    hex::encode(keyed(&key, policy))
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Amazon's own documentation of POST policies, "sigv4-post-example".
    #[test]
    fn the_published_example_of_a_signed_policy() {
        let policy = r#"{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}"#;
        let sent = BASE64_STANDARD.encode(policy.replace('\n', "\r\n"));
        assert_eq!(
            signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20151229", "us-east-1", &sent),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
        );
    }
}
