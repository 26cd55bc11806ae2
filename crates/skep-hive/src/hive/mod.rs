//! The hive itself: one process that holds API, controllers, node, proxies and registry, from start to stop.
//!
//! Start at [`run`]. `state_dir` claims the directory, `ports` keeps addresses stable, `seeds` makes the objects that every
//! cluster has, `housekeeping` is the slow broom.

mod address;
mod api;
mod error;
mod housekeeping;
mod logs;
mod parts;
mod ports;
mod readdress;
mod seeds;
mod state_dir;

use std::path::PathBuf;
use std::time::Duration;

use skep_node::{Backoff, Level};
use tokio_util::sync::CancellationToken;

pub use self::address::HiveAddress;
pub use self::error::HiveError;
use self::parts::Parts;
use self::state_dir::StateDir;

/// How long the parts together may take to stop before they are cut off.
const STOP: Duration = Duration::from_secs(20);

/// Where Ingresses are served when nobody has ever said where.
const HTTP_PORT: u16 = 8080;

/// What a hive is started with.
#[derive(Clone, Debug)]
pub struct HiveConfig {
    /// Everything the hive keeps. One hive at a time may use it.
    pub state_dir: PathBuf,
    /// Where Ingresses are served, on loopback; 0 lets the system choose. `None`: as last time, or 8080. Kept.
    pub http_port: Option<u16>,
    /// Where the API listens on loopback. `None`: as last time, or chosen by the system and kept.
    pub api_port: Option<u16>,
    /// Where the registry listens on loopback. `None`: as last time, or chosen by the system and kept.
    pub registry_port: Option<u16>,
    /// Keeps no objects over a restart.
    pub ephemeral: bool,
    /// The program that is run again to hold pods: its `main` calls `skep_node::init_main` when
    /// `skep_node::invoked_as_init` says so.
    pub init_program: PathBuf,
    /// How long crashed containers, failed Jobs and failed pulls wait. Tests shorten it.
    pub backoff: Backoff,
    /// How pods are held apart. `None`: as well as this machine allows.
    pub level: Option<Level>,
}

impl HiveConfig {
    /// The usual settings: the ports of last time, Kubernetes' own delays.
    pub fn new(state_dir: impl Into<PathBuf>, init_program: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            http_port: None,
            api_port: None,
            registry_port: None,
            ephemeral: false,
            init_program: init_program.into(),
            backoff: Backoff::default(),
            level: None,
        }
    }
}

/// Runs a hive until `shutdown`. `ready` is called once, when everything listens.
///
/// At the end every pod is stopped and the network is removed; what the objects say is kept, and the next start brings the
/// pods back.
///
/// # Errors
/// [`HiveError`]: the state directory is in use or can't be read, a port is taken, the node can't be set up.
pub async fn run(
    config: HiveConfig,
    ready: impl FnOnce(&HiveAddress) + Send,
    shutdown: CancellationToken,
) -> Result<(), HiveError> {
    let home = StateDir::claim(&config.state_dir)?;
    let mut parts = Parts::start(&config, &home).await?;
    let mut ended_early = None;
    let written = parts.address().write(&home);
    if written.is_ok() {
        ready(parts.address());
        ended_early = tokio::select! {
            () = shutdown.cancelled() => None,
            part = parts.any_ended() => Some(part),
        };
    }
    let in_time = tokio::time::timeout(STOP, parts.stop()).await;
    if in_time.is_err() {
        tracing::warn!(limit = ?STOP, "the hive did not stop in time and was cut off");
    }
    address::remove(&home);
    match ended_early {
        Some(part) => Err(part),
        None => written,
    }
}
