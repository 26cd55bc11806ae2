//! What a client must be told: who to log in as, which registries speak plain HTTP, how patient to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use crate::DockerConfig;

/// Settings of a [`crate::Client`]. The defaults suit an anonymous client.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Accounts by registry, as an [`skep_model::ImageRef`] names it: `registry.example.com`, `docker.io`, `localhost:5000`.
    pub logins: BTreeMap<String, Login>,
    /// Where the logins of other registries are looked up, once one of them asks for some.
    pub docker: DockerConfig,
    /// Registries spoken to over plain HTTP, named as above. Loopback hosts always are.
    pub plain_http: BTreeSet<String>,
    /// How many blobs of one image move at once.
    pub concurrency: usize,
    /// A call that moves no byte for this long is given up, and tried again.
    pub stall: Duration,
    /// Larger blobs are uploaded in pieces of this many bytes, so that a dropped connection costs one piece.
    pub piece: u64,
    /// How often and when a failed call is tried again.
    pub retry: Retry,
    /// The `User-Agent`.
    pub user_agent: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            logins: BTreeMap::new(),
            docker: DockerConfig::default(),
            plain_http: BTreeSet::new(),
            concurrency: 4,
            stall: Duration::from_secs(30),
            piece: 256 << 20,
            retry: Retry::default(),
            user_agent: concat!("skep/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// How a call that failed for a passing reason (connection, 429, 5xx) is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, the first included.
    pub attempts: u32,
    /// The wait before the second try; it doubles from there.
    pub first: Duration,
    /// No wait is longer, not even one that the registry asked for.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_millis(150), longest: Duration::from_secs(10) }
    }
}

/// An account of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub username: String,
    /// Its password or access token.
    pub password: String,
}

/// Shows the name only: a password must never reach a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}
