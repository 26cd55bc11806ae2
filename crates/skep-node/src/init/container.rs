//! A container's first process, from clone to exec; and one more process inside a running container.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{chdir, setsid};

use super::process::{self, During, Step};
use super::sandbox::{self, Sandbox};
use super::wire::ContainerSpec;
use super::{exec as program, root};
use crate::sys::{self, Forked};

/// The descriptors that a process is given.
pub(super) struct Pipes {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) status: OwnedFd,
}

/// Starts a container as the first process of a pid namespace: it is sent the signals that Kubernetes would send, and when
/// it ends, so does everything in the container.
pub(super) fn run(spec: &ContainerSpec, pipes: Pipes, sandbox: &Sandbox) -> Step<i32> {
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    match sys::clone_into(flags).during(|| "make the container's namespaces".to_owned())? {
        Forked::Parent(pid) => Ok(pid.as_raw()),
        Forked::Child => {
            let Pipes { stdout, stderr, status } = pipes;
            let failed = become_container(spec, &stdout, &stderr, sandbox);
            process::fail(status, failed)
        }
    }
}

/// Returns only when it failed, with the reason.
fn become_container(spec: &ContainerSpec, stdout: &OwnedFd, stderr: &OwnedFd, sandbox: &Sandbox) -> String {
    let prepare = || -> Step<u32> {
        process::die_with_parent()?;
        let _ = setsid();
        let known = sys::known_capabilities();
        process::join_cgroups(spec)?;
        sandbox::join(sandbox)?;
        if let Some(spec) = &spec.root {
            root::enter(spec)?;
        }
        process::take_pipes(stdout, stderr, spec.uid)?;
        Ok(known)
    };
    match prepare() {
        Ok(known) => finish(spec, known),
        Err(message) => message,
    }
}

/// Starts a program in the namespaces of the container whose first process is `target`. Its own parent is a process that
/// stays outside and ends as it ends.
pub(super) fn exec(spec: &ContainerSpec, pipes: Pipes, target: i32) -> Step<i32> {
    match sys::clone_into(CloneFlags::empty()).during(|| "fork".to_owned())? {
        Forked::Parent(pid) => Ok(pid.as_raw()),
        Forked::Child => {
            let Pipes { stdout, stderr, status } = pipes;
            let message = match enter(spec, target) {
                Err(message) => message,
                Ok(Forked::Parent(pid)) => {
                    drop((stdout, stderr, status));
                    let _ = sys::close_from(3);
                    mirror(pid)
                }
                Ok(Forked::Child) => match process::die_with_parent()
                    .and_then(|()| process::take_pipes(&stdout, &stderr, spec.uid))
                {
                    Ok(()) => finish(spec, sys::known_capabilities()),
                    Err(message) => message,
                },
            };
            process::fail(status, message)
        }
    }
}

fn enter(spec: &ContainerSpec, target: i32) -> Step<Forked> {
    process::die_with_parent()?;
    process::join_cgroups(spec)?;
    let kinds = [
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("net", CloneFlags::CLONE_NEWNET),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    let mut opened = Vec::new();
    for (name, kind) in kinds {
        let path = format!("/proc/{target}/ns/{name}");
        // The host's own network cannot be joined from a user namespace, and need not be.
        if name == "net" && same_namespace(target, name) {
            continue;
        }
        opened.push((kind, File::open(&path).during(|| format!("open {path}"))?));
    }
    for (kind, file) in opened {
        setns(file.as_fd(), kind).during(|| format!("join the container ({kind:?})"))?;
    }
    sys::clone_into(CloneFlags::empty()).during(|| "fork inside the container".to_owned())
}

fn same_namespace(target: i32, name: &str) -> bool {
    let own = std::fs::read_link(format!("/proc/self/ns/{name}"));
    let other = std::fs::read_link(format!("/proc/{target}/ns/{name}"));
    matches!((own, other), (Ok(own), Ok(other)) if own == other)
}

/// Ends as `child` ends.
fn mirror(child: nix::unistd::Pid) -> ! {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => sys::exit_now(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => sys::exit_now(128 + signal as i32),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => sys::exit_now(128 + Signal::SIGKILL as i32),
        }
    }
}

/// The last steps, the same for both. Returns only when they failed.
fn finish(spec: &ContainerSpec, known: u32) -> String {
    let last = || -> Step {
        // The directory belongs to whom the image says; only root may make it.
        if std::fs::create_dir_all(&spec.cwd).is_err() || chdir(spec.cwd.as_str()).is_err() {
            chdir(spec.cwd.as_str()).during(|| format!("change to the working directory {}", spec.cwd))?;
        }
        process::reset_signals()?;
        process::drop_privileges(spec, known)
    };
    match last() {
        Ok(()) => program::replace(spec),
        Err(message) => message,
    }
}
