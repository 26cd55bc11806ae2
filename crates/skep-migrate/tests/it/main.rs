//! goose's format, and real servers: Postgres and pgbouncer from Debian's packages, each test with its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking; clippy allows it in test functions only")]

mod cli;
mod format;
mod fuzz;
mod interrupted;
mod judge;
mod login;
mod pooler;
mod run;
mod schema;
mod server;
