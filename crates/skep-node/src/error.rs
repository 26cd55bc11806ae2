//! How starting a node or asking it something fails.

use std::io;
use std::path::PathBuf;

/// Why a node could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A file or directory of the state directory could not be read or written.
    #[error("{action} {}", path.display())]
    State {
        /// `create`, `read`, `write`, …: what was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The machine allows neither level; pods cannot run here.
    #[error(
        "pods cannot run on this machine: {why}; run as root, or allow unprivileged user namespaces \
         (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
    )]
    NotPossible {
        /// What was tried and what the kernel said.
        why: String,
    },
    /// No subnet was free, or the kernel refused a link, address or route.
    #[error("set up the pods' network: {message}")]
    Network {
        /// What was being set up, and what stood in its way.
        message: String,
        /// The kernel's answer, if it was asked.
        #[source]
        source: Option<io::Error>,
    },
    /// The process that holds the pods could not be started or did not answer.
    #[error("start {} as the pods' init: {message}", program.display())]
    Init {
        /// [`crate::NodeConfig::init_program`].
        program: PathBuf,
        /// What it did instead.
        message: String,
        /// The system's answer, if there was one.
        #[source]
        source: Option<io::Error>,
    },
    /// The container named in a log request has written none.
    #[error("{message}")]
    NoLogs {
        /// In the kubelet's words.
        message: String,
    },
}
