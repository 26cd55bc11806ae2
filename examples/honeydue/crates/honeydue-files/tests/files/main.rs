//! How files go: reaped, erased, compared; on a real Postgres and a bucket that nobody here wrote.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod erasing;
mod locking;
mod reaping;
mod reconciling;
mod shed;
