//! What a node is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use crate::Cidr;
use crate::Level;

/// Where a node keeps its state and how it behaves.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The directory that holds `images/`, `pods/` and `logs/`. One node at a time may use it.
    pub state_dir: PathBuf,
    /// The program that is run again, with [`crate::INIT_MARKER`] as its first argument, to hold the pods. Its `main`
    /// must call [`crate::init_main`] before it starts any thread when [`crate::invoked_as_init`] says so.
    pub init_program: PathBuf,
    /// `spec.nodeName` and the name in events.
    pub node_name: String,
    /// The cluster's DNS domain; pods search `<namespace>.svc.<domain>`, `svc.<domain>` and `<domain>`.
    pub cluster_domain: String,
    /// How long a crashing container waits before it is started again.
    pub backoff: Backoff,
    /// Bytes after which a container's log file is rotated; one older file is kept beside it.
    pub log_bytes: u64,
    /// `None` takes the best level that this machine allows; a test may ask for a lesser one.
    pub level: Option<Level>,
}

impl NodeConfig {
    /// The usual settings over `state_dir`, with `init_program` holding the pods.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>, init_program: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            init_program: init_program.into(),
            node_name: "skep".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            backoff: Backoff::default(),
            log_bytes: 10 * 1024 * 1024,
            level: None,
        }
    }
}

/// Kubernetes' restart delay: the first restart is immediate, then `initial`, doubling up to `max`, forgotten after
/// a run of `reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay before the second restart.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// A container that ran this long starts over with no delay.
    pub reset: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(10),
            max: Duration::from_secs(300),
            reset: Duration::from_secs(600),
        }
    }
}

/// Which addresses pods and Services should get. The default derives both from the state directory, keeps what was
/// chosen before, and moves on when another route or link already has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkPlan {
    /// The pods' subnet; the bridge takes its first address.
    pub pod_cidr: Option<Cidr>,
    /// The Services' subnet, local to this machine.
    pub service_cidr: Option<Cidr>,
}
