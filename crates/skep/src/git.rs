//! The commits that folders are at.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use skep_deploy::Commit;

/// The commits of these folders, asked for all at once; a folder outside git, or without git, has none.
pub(crate) fn commits(folders: impl IntoIterator<Item = PathBuf>) -> BTreeMap<PathBuf, Commit> {
    let mut folders: Vec<PathBuf> = folders.into_iter().collect();
    folders.sort();
    folders.dedup();
    thread::scope(|scope| {
        let asked: Vec<_> = folders
            .into_iter()
            .map(|folder| scope.spawn(move || Some((folder.clone(), commit(&folder)?))))
            .collect();
        asked.into_iter().filter_map(|one| one.join().ok().flatten()).collect()
    })
}

fn commit(folder: &Path) -> Option<Commit> {
    let status =
        git(folder, &["status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--", "."])?;
    let head = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let id = head("# branch.oid ").filter(|id| *id != "(initial)")?;
    let described = git(folder, &["log", "-1", "--format=%cI"])?;
    let top = git(folder, &["rev-parse", "--show-toplevel"])?;
    let repository = Path::new(top.trim()).file_name().map(|name| name.to_string_lossy().into_owned());
    Some(Commit {
        short: id.chars().take(7).collect(),
        time: described.trim().to_owned(),
        dirty: status.lines().any(|line| !line.starts_with('#')),
        pushed: pushed(folder, head("# branch.ab ")),
        repository: repository.unwrap_or_else(|| top.trim().to_owned()),
    })
}

/// Whether a remote has the commit, as far as this clone knows.
fn pushed(folder: &Path, ahead_and_behind: Option<&str>) -> Option<bool> {
    if ahead_and_behind.is_some_and(|counts| counts.starts_with("+0 ")) {
        return Some(true);
    }
    let remotes = git(folder, &["remote"])?;
    if remotes.trim().is_empty() {
        return None;
    }
    let having = git(folder, &["branch", "--remotes", "--contains", "HEAD"])?;
    Some(!having.trim().is_empty())
}

/// The names of the files that a folder had at a commit; `None` when that commit is not here.
pub(crate) fn files_at(folder: &Path, commit: &str) -> Option<BTreeSet<String>> {
    let listed = git(folder, &["ls-tree", "--name-only", commit, "."])?;
    Some(listed.lines().map(str::to_owned).collect())
}

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(dir).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
