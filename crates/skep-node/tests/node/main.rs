//! Real pods in real namespaces.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says loudly when it could not run"
)]

mod isolation;
mod lifecycle;
mod network;
mod rootless;
mod storage;
mod support;
mod survival;
