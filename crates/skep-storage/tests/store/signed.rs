//! What a signed upload lets through, judged by a store that nobody here wrote.

use std::time::Duration;

use crate::support::{Part, Store, now};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use sha2::{Digest as _, Sha256};
use skep_storage::{Download, Presigned, Signer, Upload};
use url::Url;

const KEY: &str = "uploads/7/0197f3d2.png";
const BYTES: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
const MINUTE: Duration = Duration::from_secs(60);

fn upload() -> Upload {
    Upload::new(KEY, "image/png", BYTES.len() as u64).unwrap()
}

fn post(signer: &Signer, upload: &Upload) -> (Url, Vec<(&'static str, String)>) {
    match signer.post(upload, now(), MINUTE) {
        Presigned::Post { url, fields } => (url, fields),
        Presigned::Put { .. } => unreachable!("a form was asked for"),
    }
}

fn put(signer: &Signer, upload: &Upload) -> (Url, Vec<(&'static str, String)>) {
    match signer.put(upload, now(), MINUTE) {
        Presigned::Put { url, headers } => (url, headers),
        Presigned::Post { .. } => unreachable!("a URL was asked for"),
    }
}

fn parts(fields: &[(&'static str, String)]) -> Vec<Part> {
    fields.iter().map(|(name, value)| Part::field(name, value)).collect()
}

/// Both ways, of one upload.
fn both(signer: &Signer, upload: &Upload, at: Timestamp, lives: Duration) -> [Presigned; 2] {
    [signer.post(upload, at, lives), signer.put(upload, at, lives)]
}

#[tokio::test]
async fn what_was_signed_is_taken_and_kept_as_it_is() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let hashed = upload().with_sha256(Sha256::digest(BYTES).into());
    for upload in [upload(), hashed] {
        for (presigned, status) in both(&signer, &upload, now(), MINUTE).iter().zip([201, 200]) {
            assert_eq!(store.send(presigned, BYTES).await, status, "{presigned:?}");
            assert_eq!(store.kept("photos", KEY).await.as_deref(), Some(BYTES));
        }
    }
}

#[tokio::test]
async fn case_16_a_byte_more_or_less_is_refused() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let longer = [BYTES, b"!"].concat();
    for presigned in both(&signer, &upload(), now(), MINUTE) {
        for bytes in [&BYTES[1..], &longer, b""] {
            let status = store.send(&presigned, bytes).await;
            assert!(status.is_client_error(), "{presigned:?}, {} bytes: {status}", bytes.len());
        }
    }
    assert!(store.is_empty("photos").await);
}

#[tokio::test]
async fn case_16_a_body_without_a_length_is_refused() {
    let store = Store::start().await;
    let (url, headers) = put(&store.signer("photos"), &upload());
    let pieces = [Ok::<_, std::io::Error>(BYTES.to_vec())];
    let mut request = store.client.put(url).body(reqwest::Body::wrap_stream(futures::stream::iter(pieces)));
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "content-length") {
        request = request.header(name, value);
    }
    assert!(request.send().await.unwrap().status().is_client_error());
    assert!(store.is_empty("photos").await);
}

/// This store answers so, and has kept them all the same: whoever attaches must look at the bytes, whatever was signed.
#[tokio::test]
async fn other_bytes_than_those_of_the_checksum_are_refused() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let hashed = upload().with_sha256(Sha256::digest(BYTES).into());
    let other: Vec<u8> = BYTES.iter().rev().copied().collect();
    for presigned in both(&signer, &hashed, now(), MINUTE) {
        assert!(store.send(&presigned, &other).await.is_client_error(), "{presigned:?}");
    }
}

#[tokio::test]
async fn case_17_another_content_type_none_or_two_are_refused() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let (url, fields) = post(&signer, &upload());
    let without: Vec<_> = fields.iter().filter(|(name, _)| *name != "Content-Type").cloned().collect();
    for kinds in
        [&["text/html"][..], &[], &["image/png,text/html"], &["IMAGE/PNG"], &["image/png", "text/html"]]
    {
        let mut form = parts(&without);
        form.extend(kinds.iter().map(|kind| Part::field("Content-Type", kind)));
        let status = store.post(&url, form, BYTES).await;
        assert!(status.is_client_error(), "{kinds:?}: {status}");
    }
    let (url, headers) = put(&signer, &upload());
    for kind in ["text/html", "image/png; charset=x"] {
        let changed: Vec<(&str, String)> = headers
            .iter()
            .map(|(name, value)| {
                (*name, if *name == "content-type" { kind.to_owned() } else { value.clone() })
            })
            .collect();
        assert!(store.put(url.clone(), &changed, BYTES).await.is_client_error(), "{kind}");
    }
    assert!(store.put::<&str>(url, &[], BYTES).await.is_client_error(), "no type at all");
    assert!(store.is_empty("photos").await);
}

#[tokio::test]
async fn case_17_another_key_and_none_are_refused_and_of_two_only_the_signed_one_is_written() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let (url, fields) = post(&signer, &upload());
    let without: Vec<_> = fields.iter().filter(|(name, _)| *name != "key").cloned().collect();
    let form = |keys: &[&str]| -> Vec<Part> {
        keys.iter().map(|key| Part::field("key", key)).chain(parts(&without)).collect()
    };
    for keys in [&["files/1.png"][..], &[], &["uploads/7/${filename}"], &[KEY, "files/1.png"]] {
        let status = store.post(&url, form(keys), BYTES).await;
        assert!(status.is_client_error(), "{keys:?}: {status}");
    }
    assert!(store.is_empty("photos").await);
    // Stores differ in which of two counts; what counts is checked.
    store.post(&url, form(&["files/1.png", KEY]), BYTES).await;
    assert_eq!(store.kept("photos", "files/1.png").await, None);
    let (mut url, headers) = put(&signer, &upload());
    url.set_path(&format!("/{}/files/1.png", store.name("photos")));
    assert!(store.put(url, &headers, BYTES).await.is_client_error());
    assert_eq!(store.kept("photos", "files/1.png").await, None);
}

#[tokio::test]
async fn case_18_and_24_fields_and_headers_that_nobody_signed_are_refused() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let (url, fields) = post(&signer, &upload());
    for (name, value) in [
        ("x-amz-meta-owner", "root"),
        ("acl", "public-read"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-tagging", "<Tagging/>"),
        ("success_action_redirect", "https://evil.example"),
        ("Cache-Control", "max-age=1"),
    ] {
        let mut form = parts(&fields);
        form.push(Part::field(name, value));
        let status = store.post(&url, form, BYTES).await;
        assert!(status.is_client_error(), "{name}: {status}");
    }
    assert!(store.is_empty("photos").await);
}

/// What follows the file is not read by any store; what was to precede it is missing then.
#[tokio::test]
async fn case_19_a_file_before_its_fields_is_refused() {
    let store = Store::start().await;
    let (url, fields) = post(&store.signer("photos"), &upload());
    let mut form = vec![Part::file(BYTES)];
    form.extend(parts(&fields));
    assert!(store.form(&url, &form).await.is_client_error());
    assert!(store.is_empty("photos").await);
}

#[tokio::test]
async fn case_19_of_two_files_none_but_the_first_is_kept() {
    let store = Store::start().await;
    let (url, fields) = post(&store.signer("photos"), &upload());
    let mut form = parts(&fields);
    form.extend([Part::file(BYTES), Part::file(b"<script>and another</script>")]);
    store.form(&url, &form).await;
    assert!(store.kept("photos", KEY).await.is_none_or(|kept| kept == BYTES));
}

#[tokio::test]
async fn case_20_a_policy_that_was_changed_or_written_otherwise_is_refused() {
    let store = Store::start().await;
    let (url, fields) = post(&store.signer("photos"), &upload());
    let policy = &fields.iter().find(|(name, _)| *name == "policy").unwrap().1;
    use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
    let text = String::from_utf8(BASE64_STANDARD.decode(policy).unwrap()).unwrap();
    let wider = text.replace(
        &format!("[\"content-length-range\",{0},{0}]", BYTES.len()),
        "[\"content-length-range\",0,9999]",
    );
    assert_ne!(wider, text);
    for changed in [
        BASE64_STANDARD.encode(&wider),
        BASE64_URL_SAFE_NO_PAD.encode(&text),
        format!("{policy}\n"),
        format!(" {policy}"),
        BASE64_STANDARD.encode(format!("{text} ")),
        String::new(),
    ] {
        if changed == *policy {
            // It needs neither padding nor a letter in which the two alphabets differ.
            continue;
        }
        let form = fields
            .iter()
            .map(|(name, value)| Part::field(name, if *name == "policy" { &changed } else { value }))
            .collect();
        let status = store.post(&url, form, BYTES).await;
        assert!(status.is_client_error(), "{changed:.20}: {status}");
    }
    assert!(store.is_empty("photos").await);
}

#[tokio::test]
async fn case_21_a_form_for_one_bucket_is_refused_by_another() {
    let store = Store::start().await;
    store.make("other").await;
    for presigned in both(&store.signer("photos"), &upload(), now(), MINUTE) {
        let moved = match presigned {
            Presigned::Post { mut url, fields } => {
                url.set_path(&format!("/{}", store.name("other")));
                Presigned::Post { url, fields }
            }
            Presigned::Put { mut url, headers } => {
                url.set_path(&format!("/{}/{KEY}", store.name("other")));
                Presigned::Put { url, headers }
            }
        };
        assert!(store.send(&moved, BYTES).await.is_client_error(), "{moved:?}");
    }
    assert!(store.is_empty("other").await && store.is_empty("photos").await);
}

#[tokio::test]
async fn case_13_what_has_expired_is_refused() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let earlier = now() - SignedDuration::from_secs(120);
    for presigned in both(&signer, &upload(), earlier, MINUTE) {
        assert!(store.send(&presigned, BYTES).await.is_client_error(), "{presigned:?}");
    }
    assert!(store.is_empty("photos").await);
}

/// A signer whose clock is a quarter of an hour wrong is refused, either way; one that is a minute wrong is not. Garage looks at how old
/// what was signed is, and lets it come from the future.
#[tokio::test]
async fn case_14_a_clock_that_is_sixteen_minutes_off_is_refused() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    for minutes in [-16, 16] {
        let at = now() + SignedDuration::from_mins(minutes);
        for presigned in both(&signer, &upload(), at, 30 * MINUTE) {
            if store.is_foreign() && minutes > 0 {
                continue;
            }
            assert!(store.send(&presigned, BYTES).await.is_client_error(), "{minutes} min: {presigned:?}");
        }
    }
    assert!(store.is_empty("photos").await);
    for presigned in both(&signer, &upload(), now() - SignedDuration::from_mins(1), 5 * MINUTE) {
        assert!(store.send(&presigned, BYTES).await.is_success(), "{presigned:?}");
    }
}

/// Until it expires it may be used again, by anybody, for another object of the same size: whoever attaches must pin what was seen.
#[tokio::test]
async fn case_22_what_was_used_can_be_used_again() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    let other: Vec<u8> = BYTES.iter().rev().copied().collect();
    for presigned in both(&signer, &upload(), now(), MINUTE) {
        assert!(store.send(&presigned, BYTES).await.is_success());
        assert!(store.send(&presigned, &other).await.is_success());
        assert_eq!(store.kept("photos", KEY).await.as_deref(), Some(&other[..]));
    }
}

#[tokio::test]
async fn case_26_a_url_is_for_one_request_alone() {
    let store = Store::start().await;
    let (url, headers) = put(&store.signer("photos"), &upload());
    for (name, value) in
        [("acl", ""), ("uploadId", "1"), ("partNumber", "1"), ("tagging", ""), ("versionId", "1")]
    {
        let mut more = url.clone();
        more.query_pairs_mut().append_pair(name, value);
        assert!(store.put(more, &headers, BYTES).await.is_client_error(), "{name}");
    }
    let signed = url.query().unwrap().replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    let mut longer = url.clone();
    longer.set_query(Some(&signed));
    assert!(store.put(longer, &headers, BYTES).await.is_client_error());
    assert!(store.client.delete(url.clone()).send().await.unwrap().status().is_client_error());
    assert!(store.client.get(url).send().await.unwrap().status().is_client_error());
    assert!(store.is_empty("photos").await);
}

#[tokio::test]
async fn what_is_handed_out_is_a_file_to_save_and_not_a_page() {
    let store = Store::start().await;
    let signer = store.signer("photos");
    store.send(&signer.put(&upload(), now(), MINUTE), BYTES).await;
    let download =
        Download { file_name: "the roof, north.png".to_owned(), content_type: "image/png".to_owned() };
    let url = signer.get(KEY, &download, now(), MINUTE);
    let answer = store.client.get(url.clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.headers()["content-disposition"],
        "attachment; filename=\"the roof_ north.png\"; filename*=UTF-8''the%20roof%2C%20north.png"
    );
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(answer.bytes().await.unwrap(), BYTES);
    let inline = url.query().unwrap().replace("attachment", "inline");
    let mut changed = url;
    changed.set_query(Some(&inline));
    assert!(store.client.get(changed).send().await.unwrap().status().is_client_error());
    let late = signer.get(KEY, &download, now() - SignedDuration::from_secs(61), MINUTE);
    assert!(store.client.get(late).send().await.unwrap().status().is_client_error());
}

#[tokio::test]
async fn case_25_of_two_who_use_the_same_url_at_once_one_is_kept_whole() {
    let store = Store::start().await;
    let presigned = store.signer("photos").put(&upload(), now(), MINUTE);
    let others: Vec<u8> = BYTES.iter().rev().copied().collect();
    for _ in 0..20 {
        let (one, other) = tokio::join!(store.send(&presigned, BYTES), store.send(&presigned, &others));
        assert_eq!((one, other), (StatusCode::OK, StatusCode::OK));
        let kept = store.kept("photos", KEY).await.unwrap();
        assert!(kept == BYTES || kept == others, "a mixture");
    }
}
