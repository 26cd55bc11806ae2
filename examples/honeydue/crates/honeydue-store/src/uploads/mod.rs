//! The tables `pending_uploads` and `files`: what may be sent, what has been sent, and what is kept.
//!
//! A row is in one pair of hands at a time: a request that attaches it, or a reaper's batch, each by a claim of its own. Whoever comes
//! back too late finds that the claim is no longer theirs, and changes nothing.
//!
//! Whoever changes several rows locks them in the order of their ids first, or passes by those that are locked: otherwise two who each
//! have what the other waits for would wait until Postgres ends one of them.

mod attach;
mod erase;
mod files;
mod open;
mod reap;
mod report;

use std::time::Duration;

use uuid::Uuid;

pub use attach::{Attached, Claimed, NotAttached, Target, Upload};
pub use erase::Erasure;
pub use files::KeptFile;
pub use open::Opened;
pub use reap::{ReapBatch, Reaped, ReaperRun};

/// How long a signed form can be used.
pub const FORM_LIVES: Duration = Duration::from_secs(15 * 60);
/// How long an upload waits to be attached.
pub const UPLOAD_LIVES: Duration = Duration::from_secs(60 * 60);
/// After which a claim counts as that of a process that died.
pub const CLAIM_LIVES: Duration = Duration::from_secs(5 * 60);

/// One claim: a name for this pair of hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim(Uuid);

impl Claim {
    fn new() -> Self {
        Self(Uuid::new_v4())
    }

    fn text(self) -> String {
        self.0.to_string()
    }
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(Uuid::to_string).collect()
}
