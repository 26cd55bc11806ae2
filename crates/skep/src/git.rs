//! The commits that folders are at.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
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

/// Whether git tracks a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracked {
    Yes,
    No,
    /// There is a repository, and git is not there or refuses to read it.
    Unknown,
}

/// The top folder of the repository around a folder, as it is on disk.
pub(crate) fn top(folder: &Path) -> Option<PathBuf> {
    let top = folder.ancestors().find(|above| above.join(".git").exists())?;
    Some(top.to_owned())
}

/// Asks git whether it tracks a file. Nothing of the repository's own configuration is run.
pub(crate) fn tracks(file: &Path) -> Tracked {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Tracked::No };
    if top(folder).is_none() {
        return Tracked::No;
    }
    let mut asked = skep_process::command("git");
    asked.args(["-c", "core.fsmonitor=false", "-C"]).arg(folder);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        asked.env_remove(name);
    }
    let asked = asked.args(["--literal-pathspecs", "ls-files", "--error-unmatch", "--"]).arg(name).output();
    match asked.ok().and_then(|output| output.status.code()) {
        Some(0) => Tracked::Yes,
        Some(1) => Tracked::No,
        _ => Tracked::Unknown,
    }
}

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = skep_process::command("git").arg("-C").arg(dir).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
