//! Pods: one task each, which owns the truth about it.
//!
//! `worker` is the task; it asks `plan` what to start, `probing` when to ask, `status` what to say, and does the rest
//! through `start`, `stop` and `prober`. Everything that can be is a pure function of values.

mod backoff;
mod container;
mod env;
mod expand;
mod facts;
mod payload;
mod plan;
mod prober;
mod probing;
pub(crate) mod quantity;
mod record;
mod security;
mod start;
mod state;
mod status;
mod stop;
mod volumes;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::cgroup::Hierarchy;
use crate::image::Layers;
use crate::log::Logs;
use crate::network::{Addresses, Plumbing};
use crate::nursery::Nursery;
use crate::{NodeConfig, PodUpdate, RootFilesystem};

pub(crate) use worker::{Command, spawn};

/// What every pod of a node shares.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) config: NodeConfig,
    pub(crate) rootless: bool,
    pub(crate) root_filesystem: RootFilesystem,
    pub(crate) nursery: Arc<Nursery>,
    pub(crate) plumbing: Plumbing,
    pub(crate) addresses: Addresses,
    pub(crate) layers: Layers,
    pub(crate) logs: Logs,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) http: reqwest::Client,
    /// A tmpfs directory of the node's own.
    pub(crate) memory: Option<PathBuf>,
    pub(crate) updates: mpsc::UnboundedSender<PodUpdate>,
}
