//! The api's own program against a real Postgres and a real Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod boot;
mod jobs;
mod pooler;
mod story;
mod support;
mod uploads;
