//! What is remembered of a pod across the end of its node: a small file beside its volumes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const FILE: &str = "record.json";

/// A pod as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) containers: BTreeMap<String, ContainerRecord>,
}

/// A container as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub(crate) restarts: i32,
    /// Since when it runs; absent when it does not.
    pub(crate) running_since: Option<Timestamp>,
    pub(crate) container_id: String,
    pub(crate) last: Option<Ending>,
    /// It ended and is not to be started again.
    pub(crate) done: bool,
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    pub(crate) container_id: String,
}

impl Record {
    /// Reads a pod's record; an unreadable one counts as none.
    pub(crate) fn load(folder: &Path) -> Self {
        fs::read(folder.join(FILE))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Replaces it whole.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<()> {
        let fresh = folder.join("record.json.new");
        fs::write(&fresh, serde_json::to_vec(self)?)?;
        fs::rename(fresh, folder.join(FILE))
    }
}
