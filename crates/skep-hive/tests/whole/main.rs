//! A whole hive: the real binary, real processes in real images, kube-rs as the client.
//!
//! Needs root (namespaces, a bridge) and Debian's `busybox-static`.

mod hive;
mod image;

mod faults;
mod jobs;
mod restart;
mod rolling;
