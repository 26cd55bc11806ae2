//! Runs Kubernetes pods on this machine as real processes in real images.
//!
//! Values in, values out: a [`PodInput`] says what a pod should be, a [`PodUpdate`] says what became of it. The
//! crate never asks upward; pulling images, reading ConfigMaps and binding claims are its caller's.
//!
//! Three rooms. [`Node`] and `pod` decide what a pod needs next; the decisions (status, backoff, probes,
//! environment) are pure functions that take time as a value. `init` is another process, single-threaded, made by
//! running [`NodeConfig::init_program`] again: it alone forks, mounts and drops privileges, and when it sees its
//! node die it takes every pod with it. `network` and `image` prepare what both stand on.

mod capabilities;
mod cgroup;
mod config;
mod error;
mod files;
mod image;
mod init;
mod input;
mod log;
mod network;
mod node;
mod nursery;
mod pod;
mod sys;

pub use capabilities::{Capabilities, Cgroups, Level, RootFilesystem, probe};
pub use config::{Backoff, NetworkPlan, NodeConfig};
pub use error::NodeError;
pub use files::remove_tree;
pub use init::{INIT_MARKER, init_main, invoked_as_init};
pub use input::{ImageState, LayerBlob, LocalImage, PodInput, PodUpdate};
pub use log::{LogRequest, LogStream};
pub use network::{Cidr, CidrError, Network};
pub use node::Node;
pub use sys::look_up_names_without_modules;
