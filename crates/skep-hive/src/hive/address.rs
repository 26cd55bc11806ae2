//! Where a running hive is found: `hive.json` in its state directory.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::HiveError;
use super::state_dir::StateDir;

const FILE: &str = "hive.json";

/// Where a hive answers. Also the contents of `hive.json`, which exists while the hive runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiveAddress {
    /// The hive's process.
    pub pid: u32,
    /// The API, HTTPS.
    pub api: SocketAddr,
    /// The registry, plain HTTP.
    pub registry: SocketAddr,
    /// Ingresses, plain HTTP.
    pub ingress: SocketAddr,
    /// Credentials for the API.
    pub kubeconfig: PathBuf,
    /// When the hive was ready.
    pub started: Timestamp,
}

impl HiveAddress {
    pub(super) fn write(&self, home: &StateDir) -> Result<(), HiveError> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        let text =
            text.map_err(|source| HiveError::State { action: "write", path: home.join(FILE), source })?;
        home.write(FILE, &text)
    }
}

pub(super) fn remove(home: &StateDir) {
    if let Err(error) = fs::remove_file(home.join(FILE))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "hive.json was not removed");
    }
}
