//! Large blobs, many at once, and a disk that is full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use bytes::Bytes;
use futures::stream;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use sha2::{Digest as _, Sha256};
use skep_model::Digest;

use crate::client::{Body, Served, full};

const PIECE: usize = 256 * 1024;

/// The `n`th piece of a blob that repeats nowhere.
fn piece(n: u64) -> Bytes {
    let mut bytes = vec![0; PIECE];
    for (at, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&(n << 32 | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    }
    bytes.into()
}

fn stream_of(pieces: u64) -> Body {
    let frames = stream::iter((0..pieces).map(|n| Ok(Frame::data(piece(n)))));
    BodyExt::boxed(StreamBody::new(frames))
}

fn digest_of(pieces: u64) -> Digest {
    let mut hash = Sha256::new();
    for n in 0..pieces {
        hash.update(piece(n));
    }
    Digest::from_sha256(hash.finalize().into())
}

/// The most memory that this process ever used, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<u64>().expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_of_200_mb_passes_in_little_memory() {
    const PIECES: u64 = 800;
    let served = Served::start().await;
    let digest = digest_of(PIECES);
    let (before, begun) = (peak_memory(), Instant::now());
    let upload = served.begin("app").await;
    let sent = served.send(Method::PATCH, &upload, &[], stream_of(PIECES)).await;
    assert_eq!((sent.status, sent.header("range")), (202, "0-209715199"));
    let done = served.send(Method::PUT, &format!("{upload}?digest={digest}"), &[], full("")).await;
    assert_eq!(done.status, 201);
    println!("200 MB pushed in {:?}", begun.elapsed());
    let grown = peak_memory() - before;
    assert!(grown < 48 << 20, "grew by {grown} bytes");
    let path = served.registry.blob_path(&digest).expect("there");
    assert_eq!(fs::metadata(path).expect("readable").len(), PIECES * PIECE as u64);
    let begun = Instant::now();
    // From the middle: seeking works far in, and only that is read.
    let range = [("range", "bytes=104857600-105119743")];
    let part = served.send(Method::GET, &format!("/v2/app/blobs/{digest}"), &range, full("")).await;
    assert_eq!((part.status, &part.bytes), (206, &piece(400)));
    println!("a part of it read in {:?}", begun.elapsed());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_blob_pushed_by_many_at_once_is_stored_once() {
    let served = Served::start().await;
    let digest = digest_of(16);
    let push = async |number: usize| {
        let upload = served.begin(&format!("app-{}", number % 3)).await;
        let path = format!("{upload}?digest={digest}");
        served.send(Method::PUT, &path, &[], stream_of(16)).await.status
    };
    let pushed = futures::future::join_all((0..8).map(push)).await;
    assert_eq!(pushed, [201; 8]);
    for repository in ["app-0", "app-1", "app-2"] {
        let read = served.get(&format!("/v2/{repository}/blobs/{digest}")).await;
        assert_eq!(Digest::of(&read.bytes), digest);
    }
    assert_eq!(files_below(served.registry.dir(), "blobs"), 1);
    assert_eq!(files_below(served.registry.dir(), "uploads"), 0);
    served.stop().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_can_go_on() {
    let served = Served::start().await;
    let upload = served.begin("app").await;
    let whole = stream_of(1).collect().await.expect("a body").to_bytes();
    let head = format!("PATCH {upload} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", whole.len());
    {
        use tokio::io::AsyncWriteExt;
        let mut stream = tokio::net::TcpStream::connect(served.address).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&whole[..100_000]).await.expect("sent");
        // Half of the connection closed: the body ends before its length.
        stream.shutdown().await.expect("closed");
        let mut response = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut response).await.expect("an answer or none");
    }
    let begun = Instant::now();
    let offset = loop {
        let status = served.get(&upload).await;
        assert_eq!(status.status, 204);
        let last =
            status.header("range").split_once('-').expect("a range").1.parse::<usize>().expect("a number");
        if last > 0 {
            break last + 1;
        }
        assert!(begun.elapsed().as_secs() < 10, "nothing was kept");
    };
    assert!(offset <= 100_000);
    let range = format!("{offset}-{}", whole.len() - 1);
    let path = format!("{upload}?digest={}", Digest::of(&whole));
    let done =
        served.send(Method::PUT, &path, &[("content-range", &range)], full(whole.slice(offset..))).await;
    assert_eq!(done.code(), "201");
    served.stop().await;
}

pub(crate) fn files_below(dir: &Path, name: &str) -> usize {
    fn count(dir: &Path) -> usize {
        let entries = fs::read_dir(dir).expect("readable").map(|entry| entry.expect("readable").path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&dir.join(name))
}

/// A file system of 8 MB, unmounted at the end.
pub(crate) struct SmallDisk {
    pub(crate) at: PathBuf,
    _dir: tempfile::TempDir,
}

impl SmallDisk {
    pub(crate) fn mount() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().join("disk");
        fs::create_dir(&at).expect("writable");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "skep-test"]).arg(&at).output();
        let mounted = mounted.expect("mount is installed (Debian package mount)");
        assert!(
            mounted.status.success(),
            "this test needs root: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self { at, _dir: dir }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.at).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.at.display());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_no_half_blob() {
    let disk = SmallDisk::mount();
    let served = Served::start_in(&disk.at).await;
    let (image, _) = served.push_image("app", "v1", "layer").await;
    let upload = served.begin("app").await;
    let full_disk = served.send(Method::PATCH, &upload, &[], stream_of(64)).await;
    assert_eq!(full_disk.code(), "507 INSUFFICIENT_STORAGE");
    let message = full_disk.json()["errors"][0]["message"].as_str().expect("text").to_owned();
    assert!(message.contains("no space left"), "{message}");
    assert_eq!(served.get(&upload).await.code(), "404 BLOB_UPLOAD_UNKNOWN");
    assert_eq!(files_below(&disk.at, "uploads"), 0);
    // Everything else goes on, and there is room again.
    assert_eq!(served.get(&format!("/v2/app/manifests/{image}")).await.status, 200);
    let path = format!("/v2/app/blobs/uploads/?digest={}", digest_of(16));
    assert_eq!(served.send(Method::POST, &path, &[], stream_of(16)).await.code(), "201");
    served.stop().await;
}
