//! Pods: one task each, which owns the truth about it.
//!
//! `worker` is the task; it takes in what happened (`learn`), asks `plan` what to start and `probing` when to ask, and says
//! what became of it (`report`, by `status`). The rest it does through `start`, `stop` and `prober`. Everything that can be is a pure function of values.

mod backoff;
mod container;
mod env;
mod expand;
mod facts;
mod learn;
mod payload;
mod plan;
mod prober;
mod probing;
pub(crate) mod quantity;
mod record;
mod report;
mod security;
mod start;
mod state;
mod status;
mod stop;
mod volumes;
mod worker;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

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
    /// Uids of the pods that ended last: what is still said about them is out of date.
    pub(crate) gone: Mutex<VecDeque<String>>,
}

/// How many ended pods are remembered. Their uids never come again; late words about them come within seconds.
const REMEMBERED: usize = 1000;

impl Site {
    pub(crate) fn is_gone(&self, uid: &str) -> bool {
        self.gone.lock().unwrap_or_else(|held| held.into_inner()).iter().any(|gone| gone == uid)
    }

    fn mark_gone(&self, uid: &str) {
        let mut gone = self.gone.lock().unwrap_or_else(|held| held.into_inner());
        gone.truncate(REMEMBERED - 1);
        gone.push_front(uid.to_owned());
    }
}
