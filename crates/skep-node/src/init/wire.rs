//! What the node and the process that holds its pods say to each other, as values.
//!
//! One JSON message a packet over a `SOCK_SEQPACKET` socket. A specification may be larger than a packet, so it
//! travels as a sealed-off memory file among the descriptors of its request.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Cidr;

/// A request; `id` comes back in its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) order: Order,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Make a pod's namespaces. Replied with [`Reply::Started`]: the process that holds them.
    Sandbox(SandboxSpec),
    /// Start a container. Descriptors: specification ([`ContainerSpec`]), stdout, stderr, status. The status pipe carries a
    /// [`StartFailure`] if the program could not be run, and closes when it runs.
    Run { sandbox: i32 },
    /// Start a program inside the running container whose first process is `target`. Descriptors as for `Run`.
    Exec { target: i32 },
    /// Send a signal to a process that was started here; unknown ones are ignored.
    Signal { pid: i32, signal: i32 },
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The process holds pods from now on.
    Ready,
    /// It could not get that far.
    Unable { message: String },
    /// The process was made.
    Started { id: u64, pid: i32 },
    /// It was not.
    Failed { id: u64, message: String },
    /// A process that was started here has ended.
    Exited { pid: i32, exit: Exit },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    /// The number that Kubernetes reports: the code, or 128 and the signal.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What the process is told once, as its second argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HolderSpec {
    /// Enter a user namespace first, in which the caller is root.
    pub(crate) rootless: bool,
    /// A file that is kept locked until the last process is gone.
    pub(crate) lock: PathBuf,
    /// What to remove from this machine's network when the node is gone, however it went.
    pub(crate) leftovers: Option<Leftovers>,
}

/// The node's part of this machine's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leftovers {
    pub(crate) bridge: String,
    pub(crate) service_cidr: Cidr,
}

/// A pod's namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SandboxSpec {
    pub(crate) hostname: String,
    /// `None`: the host's network.
    pub(crate) link: Option<LinkSpec>,
}

/// A pod's link to the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkSpec {
    pub(crate) host_name: String,
    pub(crate) bridge: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Ipv4Addr,
    /// Bytes.
    pub(crate) mtu: u32,
}

/// Everything about one process: a container's, or one more inside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerSpec {
    /// `None` for a program inside a running container.
    pub(crate) root: Option<RootSpec>,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// Bit `n` is capability number `n`.
    pub(crate) capabilities: u64,
    pub(crate) no_new_privileges: bool,
    /// Files that the process writes `0` into, to join a control group.
    pub(crate) cgroup_procs: Vec<PathBuf>,
}

/// A container's file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootSpec {
    /// The directory that it is mounted on.
    pub(crate) target: PathBuf,
    pub(crate) base: RootBase,
    pub(crate) read_only: bool,
    pub(crate) privileged: bool,
    /// In order; a target is a path inside the container.
    pub(crate) mounts: Vec<MountSpec>,
}

/// What the root is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RootBase {
    /// Layers of `layers` (names of directories in it, lowest first) under `upper`.
    Overlay { layers: PathBuf, lower: Vec<String>, upper: Upper },
    /// `target` already holds a copy.
    Copied,
}

/// Where an overlay writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Upper {
    /// `upper` and `work` inside this directory.
    Directory(PathBuf),
    /// A tmpfs mounted on this directory.
    Tmpfs(PathBuf),
}

/// One mount inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountSpec {
    /// A file or directory of the host, free of symbolic links.
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

/// Why a program does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartFailure {
    pub(crate) message: String,
}
