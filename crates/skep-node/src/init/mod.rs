//! The process that holds the pods: one per node, single-threaded, the parent of every container.
//!
//! It runs the program again rather than forking the node, because between `clone` and `exec` a container's process
//! mounts, pivots and drops privileges, which only a process without threads may do freely. It ends, with every pod, when
//! its socket to the node closes; each container asks the kernel besides to be killed when this process ends
//! (`PR_SET_PDEATHSIG` is tied to the thread that made the child: here there is only one).
//!
//! `holder` is the loop, `sandbox` and `container` are what its children do; the words they speak are in `wire`.

mod container;
mod exec;
mod holder;
mod process;
mod root;
mod sandbox;
pub(crate) mod wire;

/// The first argument that makes a program the pods' init.
pub const INIT_MARKER: &str = "skep-node-init";

/// Whether this process was started to hold pods: call [`init_main`] then, before any thread exists.
#[must_use]
pub fn invoked_as_init() -> bool {
    std::env::args_os().nth(1).is_some_and(|first| first == INIT_MARKER)
}

/// Holds pods until the node closes its end of the socket on stdin.
#[expect(clippy::disallowed_methods, reason = "nothing is held: every pod is gone when the loop returns")]
pub fn init_main() -> ! {
    let argument = std::env::args().nth(2).unwrap_or_default();
    std::process::exit(holder::hold(&argument))
}
