//! A pod's namespaces, and the process that does nothing but hold them.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pause, pipe2, sethostname};

use super::process::{During, Step, die_with_parent};
use super::wire::{LinkSpec, SandboxSpec};
use crate::network::link;
use crate::sys::{self, Forked};

/// What a container of the pod joins.
pub(super) struct Sandbox {
    /// The process that holds the namespaces.
    pub(super) pid: i32,
    pub(super) namespaces: Vec<(CloneFlags, OwnedFd)>,
}

/// Makes the namespaces and the link, and waits until the pod's address answers.
pub(super) fn start(spec: &SandboxSpec) -> Step<Sandbox> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).during(|| "make a pipe".to_owned());
    let ((go_read, go_write), (done_read, done_write)) = (pipe()?, pipe()?);
    let mut flags = CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    if spec.link.is_some() {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    match sys::clone_into(flags).during(|| "make the pod's namespaces".to_owned())? {
        Forked::Child => {
            drop((go_write, done_read));
            hold(spec, go_read, done_write)
        }
        Forked::Parent(pid) => {
            drop((go_read, done_write));
            settle(spec, pid, go_write, done_read).inspect_err(|_| {
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, None);
            })
        }
    }
}

/// The holder's side: the link's host end, then the child's word that its own end is up.
fn settle(spec: &SandboxSpec, pid: Pid, go: OwnedFd, done: OwnedFd) -> Step<Sandbox> {
    if let Some(link) = &spec.link {
        link::connect(link, pid.as_raw())
            .during(|| format!("connect {} to {}", link.host_name, link.bridge))?;
    }
    File::from(go).write_all(b"!").during(|| "start the pod's namespaces".to_owned())?;
    let mut answer = String::new();
    File::from(done).read_to_string(&mut answer).during(|| "await the pod's namespaces".to_owned())?;
    if answer != "ok" {
        return Err(if answer.is_empty() { "the pod's first process died".to_owned() } else { answer });
    }
    let mut kinds = vec![("uts", CloneFlags::CLONE_NEWUTS), ("ipc", CloneFlags::CLONE_NEWIPC)];
    if spec.link.is_some() {
        kinds.push(("net", CloneFlags::CLONE_NEWNET));
    }
    let mut namespaces = Vec::new();
    for (name, kind) in kinds {
        let path = format!("/proc/{pid}/ns/{name}");
        let file = File::open(&path).during(|| format!("open {path}"))?;
        namespaces.push((kind, OwnedFd::from(file)));
    }
    Ok(Sandbox { pid: pid.as_raw(), namespaces })
}

/// The child's side.
fn hold(spec: &SandboxSpec, go: OwnedFd, done: OwnedFd) -> ! {
    let result = furnish(spec, go);
    let answer = match &result {
        Ok(()) => "ok",
        Err(message) => message.as_str(),
    };
    let _ = File::from(done).write_all(answer.as_bytes());
    if result.is_err() {
        sys::exit_now(1);
    }
    // The holder's socket and the other pods' namespaces are not this process' to keep open.
    let _ = sys::close_from(3);
    loop {
        pause();
    }
}

fn furnish(spec: &SandboxSpec, go: OwnedFd) -> Step {
    die_with_parent()?;
    let _ = nix::sys::prctl::set_name(c"skep-pod");
    sethostname(&spec.hostname).during(|| format!("set the host name {}", spec.hostname))?;
    let mut byte = [0];
    File::from(go).read_exact(&mut byte).during(|| "await the pod's link".to_owned())?;
    if let Some(spec) = &spec.link {
        own_end(spec)?;
    }
    Ok(())
}

fn own_end(spec: &LinkSpec) -> Step {
    link::settle(spec).during(|| format!("set up {} in the pod", spec.address))?;
    // As containerd does: low ports and ping need no capability inside a pod.
    let _ = std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    let _ = std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    Ok(())
}

/// Enters the pod's namespaces.
pub(super) fn join(sandbox: &Sandbox) -> Step {
    for (kind, descriptor) in &sandbox.namespaces {
        nix::sched::setns(descriptor.as_fd(), *kind).during(|| format!("join the pod ({kind:?})"))?;
    }
    Ok(())
}
