//! What an app asks of its bucket itself, against a store that nobody here wrote.

use std::time::{Duration, Instant};

use crate::support::{Store, now};
use sha2::{Digest as _, Sha256};
use skep_storage::{Addressing, Bucket, Client, Copied, Credentials, StoreError, Upload};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const BYTES: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

async fn keep(store: &Store, key: &str, bytes: &[u8]) {
    let upload = Upload::new(key, "image/png", bytes.len() as u64).unwrap();
    let presigned = store.signer("photos").put(&upload, now(), Duration::from_secs(60));
    assert_eq!(store.send(&presigned, bytes).await, 200);
}

#[tokio::test]
async fn an_object_is_seen_with_its_size_type_and_beginning_and_none_is_none() {
    let store = Store::start().await;
    let client = store.own_client("photos");
    assert_eq!(client.look("uploads/1/a", 8).await.unwrap(), None);
    keep(&store, "uploads/1/a", BYTES).await;
    let seen = client.look("uploads/1/a", 8).await.unwrap().unwrap();
    assert_eq!((seen.size, seen.content_type.as_str()), (BYTES.len() as u64, "image/png"));
    assert_eq!(seen.first, &BYTES[..8]);
    assert_eq!(client.look("uploads/1/a", 4096).await.unwrap().unwrap().first, BYTES);
    let sha256: [u8; 32] = Sha256::digest(BYTES).into();
    assert_eq!(client.sha256("uploads/1/a", &seen.etag).await.unwrap(), Some(sha256));
    assert_eq!(client.sha256("uploads/1/a", "\"of others\"").await.unwrap(), None);
    assert_eq!(client.sha256("uploads/1/b", &seen.etag).await.unwrap(), None);
    store.put_plainly("photos", "uploads/1/empty", b"").await;
    assert_eq!(client.look("uploads/1/empty", 8).await.unwrap().unwrap().size, 0);
}

#[tokio::test]
async fn only_the_bytes_that_were_seen_are_copied() {
    let store = Store::start().await;
    let client = store.own_client("photos");
    keep(&store, "uploads/1/a", BYTES).await;
    let seen = client.look("uploads/1/a", 8).await.unwrap().unwrap();
    assert_eq!(client.copy("uploads/1/a", &seen.etag, "files/1/a").await.unwrap(), Copied::Done);
    assert_eq!(store.kept("photos", "files/1/a").await.as_deref(), Some(BYTES));
    keep(&store, "uploads/1/a", b"\x89PNG others, as long").await;
    assert_eq!(client.copy("uploads/1/a", &seen.etag, "files/1/a").await.unwrap(), Copied::Changed);
    assert_eq!(store.kept("photos", "files/1/a").await.as_deref(), Some(BYTES), "the copy is as it was");
    assert_eq!(client.copy("uploads/1/none", &seen.etag, "files/1/b").await.unwrap(), Copied::Gone);
}

#[tokio::test]
async fn folders_go_whole_page_by_page_and_no_other_folder_with_them() {
    let store = Store::start().await;
    let client = store.own_client("photos");
    for number in 0..1003 {
        store.put_plainly("photos", &format!("uploads/1/{number}"), BYTES).await;
    }
    store.put_plainly("photos", "uploads/10/a", BYTES).await;
    store.put_plainly("photos", "files/1/a", BYTES).await;
    let mut gone = 0;
    assert_eq!(client.delete_folder("uploads/1/", |some| gone += some).await.unwrap(), Vec::new());
    assert_eq!(gone, 1003);
    assert_eq!(client.delete_folder("uploads/1/", |some| gone += some).await.unwrap(), Vec::new());
    assert_eq!(gone, 1003, "nothing was left");
    assert!(
        store.kept("photos", "uploads/10/a").await.is_some()
            && store.kept("photos", "files/1/a").await.is_some()
    );
}

#[tokio::test]
async fn single_objects_go_and_one_that_is_gone_is_no_failure() {
    let store = Store::start().await;
    let client = store.own_client("photos");
    for key in ["uploads/1/a", "uploads/1/ab", "uploads/1/b"] {
        keep(&store, key, BYTES).await;
    }
    let some = ["uploads/1/a", "uploads/1/b", "uploads/1/never-was"].map(str::to_owned);
    assert_eq!(client.delete_objects(&some).await.unwrap().1, []);
    assert!(
        store.kept("photos", "uploads/1/a").await.is_none()
            && store.kept("photos", "uploads/1/b").await.is_none()
    );
    assert!(store.kept("photos", "uploads/1/ab").await.is_some(), "whose name only begins like it");
}

#[tokio::test]
async fn a_store_that_takes_forms_is_told_from_one_that_does_not_and_nothing_comes_of_asking() {
    let store = Store::start().await;
    assert!(store.own_client("photos").takes_forms().await.unwrap());
    assert!(store.is_empty("photos").await);
    let (client, _) = answering("HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n").await;
    assert!(!client.takes_forms().await.unwrap());
}

#[tokio::test]
async fn a_busy_store_is_asked_again_and_no_error_tells_a_signature() {
    let slow_down = "HTTP/1.1 503 Slow Down\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
    let (client, asked) = answering(slow_down).await;
    let error = client.look("uploads/1/a", 8).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { status: 503, .. }), "{error:?}");
    assert_eq!(*asked.borrow(), 3);
    let (nobody, _) = answering("").await;
    let silent = nobody.with_answers_within(Duration::from_millis(200));
    let began = Instant::now();
    let error = silent.copy("uploads/1/a", "\"e\"", "files/1/a").await.unwrap_err();
    assert!(error.is_passing() && began.elapsed() < Duration::from_secs(5), "{error:?}");
    for text in [error.to_string(), format!("{error:?}"), format!("{silent:?}")] {
        assert!(
            !text.contains("Signature") && !text.contains("sesame") && !text.contains("http://"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_copy_that_fails_after_its_answer_has_begun_is_no_copy() {
    let body = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>try again</Message></Error>";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (client, _) = answering(&answer).await;
    let error = client.copy("uploads/1/a", "\"e\"", "files/1/a").await.unwrap_err();
    assert!(error.to_string().contains("InternalError: try again"), "{error}");
}

/// A client of a server that gives one answer, or none, and how often it was asked.
async fn answering(answer: &str) -> (Client, tokio::sync::watch::Receiver<u32>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (asked, count) = tokio::sync::watch::channel(0);
    let answer = answer.to_owned();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            asked.send_modify(|asked| *asked += 1);
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            if answer.is_empty() {
                open.push(stream);
            }
        }
    });
    let bucket = Bucket::new(&endpoint, Addressing::Path, "photos", "eu-central-003").unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    (Client::new(bucket, Credentials::new("AKIAEXAMPLE", "open/sesame"), http), count)
}
