//! What an app itself asks of its bucket: to look at what has come, to keep it, to be rid of it.
//!
//! Every request here may be sent twice, so one that a store is too busy for is tried again. No error tells a signed address.

mod error;
pub(crate) mod listing;
mod objects;
pub(crate) mod send;
mod xml;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

pub use error::StoreError;
pub use listing::{ListedVersion, Marker, Page};
pub use objects::{Copied, NotDeleted, Seen};

use crate::{Bucket, Credentials};

/// How long one answer may take.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A bucket, spoken to. Clones share what was learned of the store.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) bucket: Bucket,
    pub(crate) credentials: Credentials,
    http: reqwest::Client,
    answer_within: Duration,
    /// Whether the store has said that it knows no versions.
    knows_no_versions: Arc<AtomicBool>,
}

impl Client {
    /// Speaks to `bucket` through `http`, which should have a timeout for connecting.
    pub fn new(bucket: Bucket, credentials: Credentials, http: reqwest::Client) -> Self {
        Self { bucket, credentials, http, answer_within: ANSWER_WITHIN, knows_no_versions: Arc::default() }
    }

    /// How long one answer may take, instead of five seconds.
    #[must_use]
    pub fn with_answers_within(self, answer_within: Duration) -> Self {
        Self { answer_within, ..self }
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }
}
