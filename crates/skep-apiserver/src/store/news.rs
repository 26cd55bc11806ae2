//! Tells watchers that the version has moved.
//!
//! They are woken in the order in which they wait, which a simulation relies on; `tokio::sync::watch` wakes its receivers in any.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The version that was told last.
#[derive(Debug, Clone)]
pub(super) struct News(Arc<Told>);

#[derive(Debug)]
struct Told {
    version: AtomicU64,
    moved: Notify,
}

/// One watcher's view of it.
#[derive(Debug)]
pub(crate) struct Subscription {
    told: Arc<Told>,
    seen: u64,
}

impl News {
    pub(super) fn starting_at(version: u64) -> Self {
        Self(Arc::new(Told { version: AtomicU64::new(version), moved: Notify::new() }))
    }

    pub(super) fn tell(&self, version: u64) {
        self.0.version.store(version, Ordering::Release);
        self.0.moved.notify_waiters();
    }

    pub(super) fn subscribe(&self) -> Subscription {
        Subscription { told: self.0.clone(), seen: self.0.version.load(Ordering::Acquire) }
    }
}

impl Subscription {
    /// Everything up to now has been seen, or is about to be looked at.
    pub(crate) fn catch_up(&mut self) {
        self.seen = self.told.version.load(Ordering::Acquire);
    }

    /// Waits until the version has moved on from what was seen.
    pub(crate) async fn changed(&mut self) {
        loop {
            // Listens before it looks: what is told in between is heard.
            let moved = self.told.moved.notified();
            let version = self.told.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return;
            }
            moved.await;
        }
    }
}
