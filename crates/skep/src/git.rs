//! The commit that a folder is at.

use std::{path::Path, process::Command};

/// A folder's commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Abbreviated hash.
    pub(crate) short: String,
    /// Whether files differ from it.
    pub(crate) dirty: bool,
}

impl Commit {
    /// The commit of a folder; `None` outside git or without git.
    pub(crate) fn of(dir: &Path) -> Option<Self> {
        let short = git(dir, &["rev-parse", "--short=7", "HEAD"])?.trim().to_owned();
        let dirty = git(dir, &["status", "--porcelain", "--untracked-files=normal", "--", "."])?;
        Some(Self { short, dirty: !dirty.is_empty() })
    }
}

/// `d3708e6`, or `d3708e6-dirty`.
impl std::fmt::Display for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.short, if self.dirty { "-dirty" } else { "" })
    }
}

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(dir).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
