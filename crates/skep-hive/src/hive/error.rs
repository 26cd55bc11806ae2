//! Why a hive does not start.

use std::io;
use std::path::PathBuf;

use skep_apiserver::{ServeError, Status, StoreError};
use skep_node::NodeError;

/// Why a hive did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum HiveError {
    /// Another hive uses the state directory.
    #[error("{} is in use by another hive{}", path.display(), process(*.pid))]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// The other hive's process, where that is known.
        pid: Option<u32>,
    },
    /// A file or directory of the state directory could not be used.
    #[error("cannot {action} {}", path.display())]
    State {
        /// `create`, `read`, `write`, `lock`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A port could not be listened on.
    #[error("the hive's {what} cannot listen on port {port} of 127.0.0.1")]
    Port {
        /// `ingress`, `API` or `registry`.
        what: &'static str,
        /// The port.
        port: u16,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The objects could not be read.
    #[error("the hive's objects could not be opened")]
    Store(#[from] StoreError),
    /// The registry's directory could not be opened.
    #[error("the hive's registry could not be opened")]
    Registry(#[from] skep_registryd::OpenError),
    /// The node could not be set up.
    #[error("the hive's node could not be started")]
    Node(#[from] NodeError),
    /// The API did not start.
    #[error("the hive's API could not be started")]
    Api(#[source] ServeError),
    /// A part that runs until the hive is stopped ended on its own.
    #[error(
        "a part of the hive ended on its own ({why}), so all of it was stopped; start it again, and please report this"
    )]
    PartEnded {
        /// What the part ended with.
        why: String,
    },
    /// An object that every cluster has was refused.
    #[error("the hive's own objects could not be made")]
    Seed(#[from] Status),
}

impl HiveError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::InUse { .. } => {
                "stop it first (`skep hive stop`), or use another state directory (SKEP_HIVE_DIR)".to_owned()
            }
            Self::Port { what, source, .. } => of_port(what, source.kind())?.to_owned(),
            Self::State { path, source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    format!("make room on the disk that holds {}", path.display())
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "use a state directory that you may write to (SKEP_HIVE_DIR)".to_owned()
                }
                _ => return None,
            },
            _ => return None,
        })
    }
}

fn of_port(what: &str, kind: io::ErrorKind) -> Option<&'static str> {
    match (kind, what) {
        (io::ErrorKind::AddrInUse, "ingress") => Some(
            "another process holds it (`ss -ltnp` names it); choose another port with `--port` or SKEP_HTTP_PORT",
        ),
        (io::ErrorKind::AddrInUse, _) => Some(
            "another process holds it (`ss -ltnp` names it); end that one, since kubeconfigs and image names hold this port",
        ),
        (io::ErrorKind::PermissionDenied, _) => {
            Some("ports below 1024 need root: choose a higher one with `--port` or SKEP_HTTP_PORT")
        }
        _ => None,
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
