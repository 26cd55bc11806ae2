//! The three servers against real sockets on loopback. Each backend has a loopback address of its own, as pods have.

mod backend;
mod dns;
mod ingress;
mod load;
mod service;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// What a test waits for comes well before this, or not at all.
const SOON: Duration = Duration::from_secs(10);

/// A loopback address that no other test of this process uses.
fn loopback() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Every process has a block of its own by its id: tests run as processes side by side.
    let block = std::process::id() % 0x3fff;
    let host = NEXT.fetch_add(1, Ordering::Relaxed) % 254 + 1;
    IpAddr::V4(Ipv4Addr::from_bits((127 << 24) | ((64 << 16) + (block << 8)) | host))
}

/// Polls until `condition`, or fails.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < SOON, "{what}: not within {SOON:?}");
        tokio::task::yield_now().await;
    }
}
