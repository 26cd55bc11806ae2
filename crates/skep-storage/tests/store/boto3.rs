//! The same signatures as Amazon's own library for Python makes of the same uploads.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use skep_storage::{Addressing, Bucket, Credentials, Presigned, Signer, Upload};

fn boto3(asked: &Value) -> Value {
    // A virtual environment of the person who runs this need not have it; Debian's package belongs to Debian's Python.
    let mut python = Command::new("/usr/bin/python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/boto3.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    python.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "Debian's python3-boto3 is needed");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn query(url: &str, key: &str) -> String {
    let (_, rest) = url.split_once(&format!("{key}=")).expect("it is there");
    rest.split('&').next().unwrap().to_owned()
}

#[test]
fn case_15_amazon_s_own_library_signs_the_same_on_both_sides_of_midnight() {
    let plain = Credentials::new("AKIAEXAMPLE", "open/sesame+with=signs");
    let lent = Credentials::lent("ASIAEXAMPLE", "other/secret", "a+token/with=signs");
    let pairs = [
        (plain, "AKIAEXAMPLE", "open/sesame+with=signs", None),
        (lent, "ASIAEXAMPLE", "other/secret", Some("a+token/with=signs")),
    ];
    // The second before midnight, and midnight: the day is part of the key.
    for (at, date) in
        [("2026-02-28T23:59:59Z", "20260228T235959Z"), ("2026-03-01T00:00:00Z", "20260301T000000Z")]
    {
        let now: Timestamp = at.parse().unwrap();
        for (addressing, sha256) in [(Addressing::Path, None), (Addressing::Host, Some([7; 32]))] {
            for (credentials, id, secret, token) in &pairs {
                let endpoint = "https://s3.eu-central-003.example.com".parse().unwrap();
                let bucket = Bucket::new(&endpoint, addressing, "photos-of-all", "eu-central-003").unwrap();
                let signer = Signer::new(bucket, credentials.clone());
                let mut upload = Upload::new("uploads/7/0197f3d2.heic", "image/heic", 1_234_567).unwrap();
                if let Some(sha256) = sha256 {
                    upload = upload.with_sha256(sha256);
                }
                let lives = Duration::from_secs(600);
                let Presigned::Put { url, headers } = signer.put(&upload, now, lives) else {
                    unreachable!("asked for")
                };
                let Presigned::Post { fields, .. } = signer.post(&upload, now, lives) else {
                    unreachable!("asked for")
                };
                let field = |name: &str| &fields.iter().find(|(known, _)| *known == name).unwrap().1;
                assert_eq!(field("x-amz-date"), date);
                assert!(field("x-amz-credential").starts_with(&format!("{id}/{}/", &date[..8])));
                let mut unsigned = url.clone();
                unsigned.set_query(None);
                let headers: serde_json::Map<String, Value> =
                    headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                let theirs = boto3(
                    &json!({"id": id, "secret": secret, "token": token, "region": "eu-central-003", "date": date,
                    "expires": 600, "url": unsigned.as_str(), "headers": headers, "policy": field("policy")}),
                );
                let theirs_url = theirs["url"].as_str().unwrap();
                for key in [
                    "X-Amz-SignedHeaders",
                    "X-Amz-Credential",
                    "X-Amz-Date",
                    "X-Amz-Expires",
                    "X-Amz-Signature",
                ] {
                    assert_eq!(
                        query(url.as_str(), key),
                        query(theirs_url, key),
                        "{key}\n{url}\n{theirs_url}"
                    );
                }
                assert_eq!(field("x-amz-signature"), theirs["form"].as_str().unwrap());
            }
        }
    }
}
