//! What a process of ours does to itself: descriptors, identity, signals.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchown, setgroups, setresgid, setresuid};

use super::wire::{ContainerSpec, StartFailure};
use crate::sys;

/// A step that failed, in words.
pub(super) type Step<T = ()> = Result<T, String>;

/// Names what was being done when the system refused.
pub(super) trait During<T> {
    /// `what`: "mount /proc", "change to /work".
    fn during(self, what: impl FnOnce() -> String) -> Step<T>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Step<T> {
        self.map_err(|error| format!("{}: {}", what(), plain(&error.into())))
    }
}

/// The system's words, lower-case and without the number.
pub(super) fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

pub(super) fn read_from_start(file: &mut File) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

pub(super) fn null_stdin() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(null.as_fd())?;
    Ok(())
}

/// Maps one user and one group into the user namespace just entered.
pub(super) fn map_ids(uid: u32, outer_uid: u32, gid: u32, outer_gid: u32) -> io::Result<()> {
    // Refused where it is already denied, which is as good.
    let _ = fs::write("/proc/self/setgroups", "deny");
    fs::write("/proc/self/uid_map", format!("{uid} {outer_uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {outer_gid} 1"))
}

/// Dies when the process that made this one does.
pub(super) fn die_with_parent() -> Step {
    set_pdeathsig(Signal::SIGKILL).during(|| "ask to die with the node".to_owned())
}

pub(super) fn join_cgroups(spec: &ContainerSpec) -> Step {
    for path in &spec.cgroup_procs {
        OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(b"0"))
            .during(|| format!("join the control group {}", path.display()))?;
    }
    Ok(())
}

/// Puts the pipes in place of stdout and stderr. The pipes are given to the container's user, so that it can open
/// `/dev/stdout` again.
pub(super) fn take_pipes(stdout: &OwnedFd, stderr: &OwnedFd, uid: u32) -> Step {
    for pipe in [stdout, stderr] {
        // Not possible without privilege; only reopening suffers.
        let _ = fchown(pipe.as_fd(), Some(Uid::from_raw(uid)), None);
    }
    null_stdin().during(|| "open /dev/null".to_owned())?;
    dup2_stdout(stdout.as_fd()).during(|| "redirect stdout".to_owned())?;
    dup2_stderr(stderr.as_fd()).during(|| "redirect stderr".to_owned())
}

/// Default dispositions and an empty mask: the holder's own are no business of a container.
pub(super) fn reset_signals() -> Step {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        sys::set_disposition(signal, &default).during(|| format!("reset {signal}"))?;
    }
    SigSet::empty().thread_set_mask().during(|| "unblock signals".to_owned())
}

/// Becomes the container's user with its capabilities and nothing more.
pub(super) fn drop_privileges(spec: &ContainerSpec, known: u32) -> Step {
    umask(Mode::from_bits_truncate(0o022));
    sys::clear_bounding_set(spec.capabilities, known).during(|| "limit capabilities".to_owned())?;
    if sys::single_user() {
        become_mapped(spec)?;
    } else {
        let groups: Vec<Gid> = spec.groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
        setgroups(&groups).during(|| format!("set groups {:?}", spec.groups))?;
        setresgid(gid, gid, gid).during(|| format!("become group {gid}"))?;
        setresuid(uid, uid, uid).during(|| format!("become user {uid}"))?;
    }
    sys::keep_only(spec.capabilities).during(|| "drop capabilities".to_owned())?;
    if spec.no_new_privileges {
        set_no_new_privs().during(|| "set no-new-privileges".to_owned())?;
    }
    // A change of identity clears it.
    die_with_parent()
}

/// Where only one user is mapped, another one is had by mapping it to that one in a user namespace of its own.
fn become_mapped(spec: &ContainerSpec) -> Step {
    if spec.uid == 0 && spec.gid == 0 {
        return Ok(());
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)
        .during(|| "enter a user namespace".to_owned())?;
    map_ids(spec.uid, 0, spec.gid, 0).during(|| format!("map user {} and group {}", spec.uid, spec.gid))
}

/// Says why and ends.
pub(super) fn fail(status: OwnedFd, message: String) -> ! {
    if let Ok(text) = serde_json::to_vec(&StartFailure { message }) {
        let _ = File::from(status).write_all(&text);
    }
    sys::exit_now(128)
}

pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
