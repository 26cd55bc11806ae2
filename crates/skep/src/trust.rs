//! Whether a kubeconfig may run the program that it names: whoever writes the file decides what runs as the user.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use skep_cluster::Kubeconfig;

use crate::git::{self, Tracked};

/// Why the program of a kubeconfig is not run.
#[derive(Debug, PartialEq, Eq)]
enum Distrust {
    Tracked,
    Unknown,
    Foreign { owner: u32 },
    Writable { mode: u32 },
}

/// Checks that a kubeconfig with an exec plugin is the user's own file. One without a plugin may come from anywhere.
///
/// # Errors
/// When git tracks it in the project, another user but root owns it, or other users may write it.
pub(crate) fn may_run(kubeconfig: &Kubeconfig, root: &Path) -> Result<()> {
    let Some(program) = kubeconfig.program() else { return Ok(()) };
    let path = kubeconfig.path();
    let Some(why) = distrust(path, root) else { return Ok(()) };
    let (why, hint) = match why {
        Distrust::Tracked => (
            "git tracks the file, so anyone who can push decides what runs here".to_owned(),
            "read what it runs, then keep your own copy outside the repository, such as in ~/.kube, and name that in skep.yaml"
                .to_owned(),
        ),
        Distrust::Unknown => (
            "git can't say whether it tracks the file".to_owned(),
            format!("check that `git -C {} status` works, or keep the kubeconfig outside the project", root.display()),
        ),
        Distrust::Foreign { owner } => (
            format!("the file or its folder belongs to another user (uid {owner})"),
            "read what it runs, then make a copy of your own, and name that in skep.yaml".to_owned(),
        ),
        Distrust::Writable { mode } => (
            format!("other users can write it (mode {:04o})", mode & 0o7777),
            format!("read what it runs, then run `chmod go-w {}`", path.display()),
        ),
    };
    Err(anyhow!("{}: refused to run its exec plugin `{program}`: {why}\nhint: {hint}", path.display()))
}

fn distrust(path: &Path, root: &Path) -> Option<Distrust> {
    // A link that git tracks leads wherever the repository says.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let top = git::top(&root).unwrap_or(root);
    let named = folder_resolved(path);
    for file in [&real, &named] {
        match file.starts_with(&top).then(|| git::tracks(file)) {
            Some(Tracked::Yes) => return Some(Distrust::Tracked),
            Some(Tracked::Unknown) => return Some(Distrust::Unknown),
            Some(Tracked::No) | None => {}
        }
    }
    ownership(&real)
}

/// The path with its folder resolved and its last name as it is.
fn folder_resolved(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(unix)]
fn ownership(file: &Path) -> Option<Distrust> {
    use std::os::unix::fs::MetadataExt as _;
    let us = nix::unistd::geteuid().as_raw();
    for place in [Some(file), file.parent()].into_iter().flatten() {
        let Ok(found) = place.metadata() else { continue };
        if found.uid() != us && found.uid() != 0 {
            return Some(Distrust::Foreign { owner: found.uid() });
        }
        // In a sticky folder, such as /tmp, nobody replaces another's file.
        let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
        // Where each user has a group of the same number, the group is nobody else.
        let group = if found.gid() == found.uid() { 0 } else { 0o020 };
        if found.mode() & (0o002 | group) != 0 && !sticky {
            return Some(Distrust::Writable { mode: found.mode() });
        }
    }
    None
}

#[cfg(not(unix))]
fn ownership(_: &Path) -> Option<Distrust> {
    None
}
