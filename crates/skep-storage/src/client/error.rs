//! How a store fails to answer. None of it holds an address: those are signed, and errors end up in logs.

use std::time::Duration;

use thiserror::Error;

/// A request that did not end as it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Nothing came back, or not in time.
    #[error("the store did not answer (asked for {what}): {why}")]
    Unreachable {
        /// The request, as in `copy`.
        what: &'static str,
        /// What kept it.
        why: String,
    },
    /// It has too much to do, or is unwell; it was asked more than once.
    #[error("the store is too busy for {what}: HTTP {status}")]
    Busy {
        /// The request.
        what: &'static str,
        /// 429 or of the 500s.
        status: u16,
        /// When to ask again, if it said so.
        retry_after: Option<Duration>,
    },
    /// It refuses: asking again would not help.
    #[error("the store refused {what}: HTTP {status} {code}: {message}")]
    Refused {
        /// The request.
        what: &'static str,
        /// The status.
        status: u16,
        /// Its own word for it, such as `AccessDenied`.
        code: String,
        /// What it said besides.
        message: String,
    },
    /// It holds more than is listed.
    #[error("more than {limit} versions are there: too many to list")]
    TooMany {
        /// How many are listed at the most.
        limit: u64,
    },
    /// Its answer is none that S3 has.
    #[error("the store's answer to {what} can't be read: {why}")]
    Garbled {
        /// The request.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// Whether it may pass by itself.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }

    /// Whether the store says that it does not have this kind of request.
    pub(super) fn is_not_implemented(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => matches!(status, 405 | 501) || code == "NotImplemented",
            Self::Busy { status, .. } => *status == 501,
            Self::Unreachable { .. } | Self::TooMany { .. } | Self::Garbled { .. } => false,
        }
    }
}
