//! The loop of the process that holds pods: requests in, children out, exits back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getgid, getuid, setsid};

use super::sandbox::Sandbox;
use super::wire::{ContainerSpec, Exit, HolderSpec, Leftovers, Order, Reply, Request};
use super::{container, process, sandbox};
use crate::network::link;
use crate::sys;

/// Serves the socket on stdin until the node is gone. Returns the exit code.
pub(super) fn hold(argument: &str) -> i32 {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let holder = match prepare(argument) {
        Ok((spec, signals, lock)) => Holder {
            socket,
            signals,
            sandboxes: BTreeMap::new(),
            children: BTreeSet::new(),
            leftovers: spec.leftovers,
            _lock: lock,
        },
        Err(message) => {
            tell(&socket, &Reply::Unable { message });
            return 1;
        }
    };
    holder.serve()
}

/// Leaves the node's terminal, enters a user namespace if asked to, and takes signals as readable events.
fn prepare(argument: &str) -> Result<(HolderSpec, SignalFd, File), String> {
    let spec: HolderSpec =
        serde_json::from_str(argument).map_err(|error| format!("read its argument {argument:?}: {error}"))?;
    let lock = File::options().create(true).append(true).open(&spec.lock);
    // Waits for the processes of a holder that was killed.
    let lock = lock.and_then(|file| file.lock().map(|()| file));
    let lock = lock.map_err(|error| format!("lock {}: {error}", spec.lock.display()))?;
    // Ctrl-C at a terminal is the node's to answer. EPERM: it already leads a session.
    let _ = setsid();
    sys::close_on_exec_from(3).map_err(|error| format!("keep descriptors from containers: {error}"))?;
    process::null_stdin().map_err(|error| format!("open /dev/null: {error}"))?;
    if spec.rootless {
        enter_user_namespace().map_err(|error| format!("enter a user namespace: {error}"))?;
    }
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block().map_err(|error| format!("block signals: {error}"))?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|error| format!("make a signalfd: {error}"))?;
    Ok((spec, signals, lock))
}

/// A user namespace whose root is the calling user. More ids would need `newuidmap` and `/etc/subuid`.
fn enter_user_namespace() -> io::Result<()> {
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    process::map_ids(0, uid.as_raw(), 0, gid.as_raw())
}

struct Holder {
    socket: OwnedFd,
    signals: SignalFd,
    /// By the id of the process that holds the namespaces.
    sandboxes: BTreeMap<i32, Sandbox>,
    children: BTreeSet<i32>,
    leftovers: Option<Leftovers>,
    _lock: File,
}

impl Holder {
    fn serve(mut self) -> i32 {
        tell(&self.socket, &Reply::Ready);
        loop {
            let mut ready = [
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
            let readable = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            let (asked, signalled) = (readable(&ready[0]), readable(&ready[1]));
            if signalled {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.reap();
            }
            if asked {
                match sys::receive(self.socket.as_fd()) {
                    Ok(Some((packet, descriptors))) => self.answer(&packet, descriptors),
                    Ok(None) => {
                        self.end();
                        self.clear_network();
                        return 0;
                    }
                    Err(_) => break,
                }
            }
        }
        self.end();
        0
    }

    fn answer(&mut self, packet: &[u8], descriptors: Vec<OwnedFd>) {
        let Ok(Request { id, order }) = serde_json::from_slice(packet) else { return };
        let started = match order {
            Order::Sandbox(spec) => sandbox::start(&spec).map(|sandbox| {
                let pid = sandbox.pid;
                self.sandboxes.insert(pid, sandbox);
                pid
            }),
            Order::Run { sandbox } => match self.sandboxes.get(&sandbox) {
                Some(sandbox) => start(descriptors, |spec, pipes| container::run(spec, pipes, sandbox)),
                None => Err(format!("the pod's namespaces (process {sandbox}) are gone")),
            },
            Order::Exec { target } if self.children.contains(&target) => {
                start(descriptors, |spec, pipes| container::exec(spec, pipes, target))
            }
            Order::Exec { target } => Err(format!("the container (process {target}) is gone")),
            Order::Signal { pid, signal } => {
                if self.children.contains(&pid)
                    && let Ok(signal) = Signal::try_from(signal)
                {
                    let _ = kill(Pid::from_raw(pid), signal);
                }
                return;
            }
        };
        match started {
            Ok(pid) => {
                self.children.insert(pid);
                tell(&self.socket, &Reply::Started { id, pid });
            }
            Err(message) => tell(&self.socket, &Reply::Failed { id, message }),
        }
    }

    fn reap(&mut self) {
        loop {
            let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            if self.children.remove(&pid.as_raw()) {
                self.sandboxes.remove(&pid.as_raw());
                tell(&self.socket, &Reply::Exited { pid: pid.as_raw(), exit });
            }
        }
    }

    /// The node is gone, by a kill perhaps, and its state directory may never be used again.
    fn clear_network(&self) {
        if let Some(Leftovers { bridge, service_cidr }) = &self.leftovers {
            let _ = link::remove(bridge);
            let _ = link::make_foreign(*service_cidr);
        }
    }

    /// Kills and awaits every child, so that nothing of a pod is left when this process is gone.
    fn end(&self) {
        for pid in &self.children {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        while !matches!(waitpid(None, None), Err(Errno::ECHILD)) {}
    }
}

/// Reads the specification and hands the three pipes on.
fn start(
    descriptors: Vec<OwnedFd>,
    run: impl FnOnce(&ContainerSpec, container::Pipes) -> Result<i32, String>,
) -> Result<i32, String> {
    let [spec, stdout, stderr, status]: [OwnedFd; 4] = descriptors
        .try_into()
        .map_err(|found: Vec<_>| format!("expected 4 descriptors, found {}", found.len()))?;
    let mut file = File::from(spec);
    let text =
        process::read_from_start(&mut file).map_err(|error| format!("read the specification: {error}"))?;
    let spec = serde_json::from_slice(&text).map_err(|error| format!("read the specification: {error}"))?;
    run(&spec, container::Pipes { stdout, stderr, status })
}

fn tell(socket: &OwnedFd, reply: &Reply) {
    if let Ok(text) = serde_json::to_vec(reply) {
        // A node that is gone shows as the end of the socket on the next turn.
        let _ = send(socket.as_raw_fd(), &text, MsgFlags::MSG_NOSIGNAL);
    }
}
