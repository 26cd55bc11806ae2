//! A whole hive: the real binary, real processes in real images, kube-rs as the client.
//!
//! Needs root (namespaces, a bridge) and Debian's `busybox-static`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by a panic, and says on stderr what it saw"
)]

mod hive;
mod image;

mod faults;
mod jobs;
mod levels;
mod restart;
mod rolling;
