//! Container logs: one file an attempt, in the line format of CRI, rotated by size.

mod line;
mod read;
mod write;

use std::io;

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
pub(crate) use read::{last_lines, open};
pub(crate) use write::Logs;

/// Which lines of which container's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub pod: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The container's name.
    pub container: String,
    /// Go on with what is written later, until the container ends.
    pub follow: bool,
    /// The attempt before the current one.
    pub previous: bool,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Only lines written at or after this time.
    pub since: Option<Timestamp>,
    /// Only this many lines from the end.
    pub tail_lines: Option<u64>,
    /// Stop after this many bytes.
    pub limit_bytes: Option<u64>,
}

/// Log lines as bytes, newlines included.
pub type LogStream = BoxStream<'static, io::Result<Bytes>>;
