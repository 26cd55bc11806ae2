//! What this machine lets a node do, found by trying each step once.

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use crate::cgroup::Hierarchy;
use crate::sys;

/// How pods are held apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// Mount, pid, uts, ipc and network namespaces, each pod with an address on a bridge.
    Root,
    /// User, mount, pid, uts and ipc namespaces on the host's network, each pod with a loopback address.
    Rootless,
    /// Neither.
    None {
        /// What was tried and what the kernel said.
        why: String,
    },
}

/// How a container gets a writable view of its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootFilesystem {
    /// An overlay whose upper lies in the state directory.
    Overlay,
    /// An overlay whose upper is a tmpfs, since the state directory can't hold one.
    OverlayOnTmpfs,
    /// A copy of the image per container.
    Copy,
}

/// Which control groups limit memory and CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroups {
    /// The unified hierarchy with the controllers we need.
    V2,
    /// Named controllers.
    V1,
    /// None: limits are ignored.
    None {
        /// What was missing.
        why: String,
    },
}

/// What [`probe`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The best level that works.
    pub level: Level,
    /// How image roots are made.
    pub root_filesystem: RootFilesystem,
    /// What limits resources.
    pub cgroups: Cgroups,
}

/// Tries each step once, in processes and threads that end at once. Blocks for a few milliseconds.
#[must_use]
pub fn probe(state_dir: &Path) -> Capabilities {
    let level = level();
    let root_filesystem = root_filesystem(state_dir, &level);
    let cgroups = Hierarchy::open(&format!("skep-probe-{}", std::process::id()));
    let found = Capabilities { level, root_filesystem, cgroups: cgroups.version().clone() };
    cgroups.remove();
    found
}

fn level() -> Level {
    let both = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    let as_root = if geteuid().is_root() {
        match sys::try_clone(both | CloneFlags::CLONE_NEWNET) {
            Ok(()) => return Level::Root,
            Err(error) => format!("as root, new namespaces are refused: {}", refusal(&error)),
        }
    } else {
        "not root".to_owned()
    };
    match sys::try_clone(both | CloneFlags::CLONE_NEWUSER) {
        Ok(()) => Level::Rootless,
        Err(error) => Level::None {
            why: format!("{as_root}, and a new user namespace is refused: {}", refusal(&error)),
        },
    }
}

/// `clone` answers ENOSPC, of all things, when a limit of `/proc/sys/user` is reached (clone(2)).
fn refusal(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull => {
            "a limit below /proc/sys/user/max_*_namespaces is reached".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Mounts an overlay in a mount namespace of a thread's own; unprivileged, the holder's user namespace is where that is decided,
/// and the choice is the newer kernels'.
fn root_filesystem(state_dir: &Path, level: &Level) -> RootFilesystem {
    match level {
        Level::Root => {}
        Level::Rootless if sys::kernel_at_least(5, 13) => return RootFilesystem::Overlay,
        Level::Rootless | Level::None { .. } => return RootFilesystem::Copy,
    }
    let folder = state_dir.join(format!(".probe-{}", std::process::id()));
    let trial = folder.clone();
    let tried = std::thread::spawn(move || try_overlays(&trial)).join();
    let _ = std::fs::remove_dir_all(folder);
    tried.ok().flatten().unwrap_or(RootFilesystem::Copy)
}

fn try_overlays(folder: &Path) -> Option<RootFilesystem> {
    let nothing = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).ok()?;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).ok()?;
    let overlay = |above: &Path| {
        let part = |name: &str| std::fs::create_dir_all(above.join(name)).map(|()| above.join(name));
        let (upper, work) = (part("upper").ok()?, part("work").ok()?);
        let (lower, target) = (folder.join("lower"), folder.join("target"));
        std::fs::create_dir_all(&lower).ok()?;
        std::fs::create_dir_all(&target).ok()?;
        let options =
            format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(options.as_str())).ok()?;
        // Some mount and then refuse to write.
        let written = std::fs::write(target.join("file"), "").is_ok();
        let _ = umount2(&target, MntFlags::MNT_DETACH);
        written.then_some(())
    };
    if overlay(&folder.join("above")).is_some() {
        return Some(RootFilesystem::Overlay);
    }
    let memory = folder.join("memory");
    std::fs::create_dir_all(&memory).ok()?;
    mount(Some("tmpfs"), &memory, Some("tmpfs"), MsFlags::empty(), nothing).ok()?;
    let found = overlay(&memory).map(|()| RootFilesystem::OverlayOnTmpfs);
    let _ = umount2(&memory, MntFlags::MNT_DETACH);
    found
}
