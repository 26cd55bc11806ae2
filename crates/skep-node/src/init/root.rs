//! A container's file system: an overlay of its image, the kernel's own file systems, and its volumes.
//!
//! Targets are resolved only after the pivot, when the image's symbolic links can no longer lead to the host.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{chdir, pivot_root};

use super::process::{During, Step, exists};
use super::wire::{MountSpec, RootBase, RootSpec, Upper};
use crate::sys;

/// Where the host is, between the pivot and the end of [`enter`].
const HOST: &str = "/.skep-host";
const NOTHING: Option<&str> = None;

/// Mounts everything, and makes it this process' root.
pub(super) fn enter(spec: &RootSpec) -> Step {
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)
        .during(|| "make mounts private".to_owned())?;
    base(spec)?;
    let host = spec.target.join(HOST.trim_start_matches('/'));
    fs::create_dir_all(&host).during(|| format!("create {}", host.display()))?;
    pivot_root(&spec.target, &host).during(|| format!("make {} the root", spec.target.display()))?;
    chdir("/").during(|| "change to /".to_owned())?;
    kernel_file_systems(spec.privileged)?;
    for mount in &spec.mounts {
        bind_volume(mount)?;
    }
    if !spec.privileged {
        mask();
    }
    umount2(HOST, MntFlags::MNT_DETACH).during(|| "let go of the host's files".to_owned())?;
    let _ = fs::remove_dir(HOST);
    if spec.read_only {
        remount_read_only("/").during(|| "make the root read-only".to_owned())?;
    }
    Ok(())
}

fn base(spec: &RootSpec) -> Step {
    let target = &spec.target;
    match &spec.base {
        RootBase::Copied => mount(Some(target), target, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)
            .during(|| format!("bind {}", target.display())),
        RootBase::Overlay { layers, lower, upper } => {
            let folder = match upper {
                Upper::Directory(folder) => folder,
                Upper::Tmpfs(folder) => {
                    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
                        .during(|| format!("mount a tmpfs on {}", folder.display()))?;
                    folder
                }
            };
            let (above, work) = (folder.join("upper"), folder.join("work"));
            for path in [&above, &work] {
                fs::create_dir_all(path).during(|| format!("create {}", path.display()))?;
            }
            // An overlay's root takes its mode from the upper directory.
            let _ = fs::set_permissions(&above, fs::Permissions::from_mode(0o755));
            // Names relative to the layers' directory: mount options end at one page.
            chdir(layers).during(|| format!("change to {}", layers.display()))?;
            let lower: Vec<&str> = lower.iter().rev().map(String::as_str).collect();
            let mut options = format!(
                "lowerdir={},upperdir={},workdir={}",
                lower.join(":"),
                above.display(),
                work.display()
            );
            if sys::single_user() {
                options.push_str(",userxattr");
            }
            mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
                .during(|| format!("mount the image on {} ({} layers)", target.display(), lower.len()))
        }
    }
}

fn kernel_file_systems(privileged: bool) -> Step {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    for path in ["/proc", "/sys", "/dev"] {
        fs::create_dir_all(path).during(|| format!("create {path}"))?;
    }
    mount(Some("proc"), "/proc", Some("proc"), quiet, NOTHING).during(|| "mount /proc".to_owned())?;
    let sys_flags = if privileged { quiet } else { quiet | MsFlags::MS_RDONLY };
    if mount(Some("sysfs"), "/sys", Some("sysfs"), sys_flags, NOTHING).is_err() {
        // Only the owner of the network namespace may; the host's, read-only, tells a container the same.
        let from = format!("{HOST}/sys");
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(from.as_str()), "/sys", NOTHING, bind, NOTHING).during(|| "mount /sys".to_owned())?;
        let _ = remount_read_only("/sys");
    }
    mount(Some("tmpfs"), "/dev", Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=0755,size=65536k"))
        .during(|| "mount /dev".to_owned())?;
    devices()?;
    let _ = fs::create_dir_all("/dev/mqueue");
    // Absent from some kernels, and hardly used.
    let _ = mount(Some("mqueue"), "/dev/mqueue", Some("mqueue"), quiet, NOTHING);
    fs::create_dir_all("/dev/shm").during(|| "create /dev/shm".to_owned())?;
    mount(Some("shm"), "/dev/shm", Some("tmpfs"), quiet, Some("mode=1777,size=65536k"))
        .during(|| "mount /dev/shm".to_owned())?;
    fs::create_dir_all("/dev/pts").during(|| "create /dev/pts".to_owned())?;
    let noexec = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let pts = "newinstance,ptmxmode=0666,mode=0620";
    mount(Some("devpts"), "/dev/pts", Some("devpts"), noexec, Some(pts))
        .during(|| "mount /dev/pts".to_owned())?;
    for (link, target) in [
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link).during(|| format!("link {link}"))?;
    }
    Ok(())
}

fn devices() -> Step {
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        let path = format!("/dev/{name}");
        let mode = Mode::from_bits_truncate(0o666);
        if mknod(path.as_str(), SFlag::S_IFCHR, mode, makedev(major, minor)).is_ok() {
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o666));
            continue;
        }
        // A user namespace may not make devices, but may show the host's.
        OpenOptions::new().create(true).append(true).open(&path).during(|| format!("create {path}"))?;
        let from = format!("{HOST}{path}");
        mount(Some(from.as_str()), path.as_str(), NOTHING, MsFlags::MS_BIND, NOTHING)
            .during(|| format!("bind {path}"))?;
    }
    Ok(())
}

fn bind_volume(spec: &MountSpec) -> Step {
    let source = PathBuf::from(format!("{HOST}{}", spec.source.display()));
    let target = Path::new(&spec.target);
    let is_dir = source
        .metadata()
        .during(|| format!("mount {}: look at {}", spec.target, spec.source.display()))?
        .is_dir();
    make_target(target, is_dir).during(|| format!("mount {}: create it in the image", spec.target))?;
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(&source), target, NOTHING, bind, NOTHING)
        .during(|| format!("mount {} on {}", spec.source.display(), spec.target))?;
    if spec.read_only {
        remount_read_only(&spec.target).during(|| format!("make {} read-only", spec.target))?;
    }
    Ok(())
}

fn make_target(target: &Path, is_dir: bool) -> std::io::Result<()> {
    if is_dir {
        return if target.is_dir() { Ok(()) } else { fs::create_dir_all(target) };
    }
    if target.exists() {
        return Ok(());
    }
    if exists(target) {
        // A link to nowhere (a base image's resolv.conf is one at times): nothing in the image needs it.
        fs::remove_file(target)?;
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o644).open(target).map(|_| ())
}

/// A bind keeps the flags of what it binds; those that a user namespace may not clear are kept too.
fn remount_read_only(path: &str) -> nix::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NOTHING, path, NOTHING, flags, NOTHING).or_else(|_| {
        let locked = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(NOTHING, path, NOTHING, flags | locked, NOTHING)
            .or_else(|_| mount(NOTHING, path, NOTHING, flags | locked | MsFlags::MS_NOEXEC, NOTHING))
    })
}

/// The parts of /proc and /sys that say or change something about the host, as other runtimes hide them.
fn mask() {
    for path in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
    ] {
        if exists(Path::new(path)) {
            let _ = mount(Some("/dev/null"), path, NOTHING, MsFlags::MS_BIND, NOTHING);
        }
    }
    for path in ["/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"]
    {
        if exists(Path::new(path)) {
            let _ = mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0"));
        }
    }
    for path in ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"] {
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        if exists(Path::new(path)) && mount(Some(path), path, NOTHING, bind, NOTHING).is_ok() {
            let _ = remount_read_only(path);
        }
    }
}
