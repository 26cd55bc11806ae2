//! What a process expects of its root, laid into an image that has no base.

use std::path::Path;

use super::tree::{Part, Taken, Tree};
use crate::{BuildError, layer::Node};

/// Where a merged `/usr` has its programs and libraries (Debian 12, Fedora, Arch).
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

const FOLDERS: [(&str, u32); 15] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
const NSSWITCH: &str =
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n";

/// The links from `/lib` to `/usr/lib` and so on, as this machine has them. They come first: what is laid goes through them.
pub(crate) fn links(tree: &mut Tree) -> Result<(), BuildError> {
    if tree.has_base() {
        return Ok(());
    }
    for name in MERGED {
        if let Ok(target) = std::fs::read_link(Path::new("/").join(name)) {
            tree.put(Path::new(name), Node::Symlink(target), 0o777, (0, 0), Part::Libraries, Taken::Keep)?;
        }
    }
    Ok(())
}

/// Everything else, where nothing was laid.
pub(crate) fn rest(tree: &mut Tree, user: Option<&str>) -> Result<(), BuildError> {
    if tree.has_base() {
        return Ok(());
    }
    for (path, mode) in FOLDERS {
        tree.put(Path::new(path), Node::Dir, mode, (0, 0), Part::Libraries, Taken::Keep)?;
    }
    tree.put(
        Path::new("var/run"),
        Node::Symlink("/run".into()),
        0o777,
        (0, 0),
        Part::Libraries,
        Taken::Keep,
    )?;
    let (passwd, group) = match user {
        Some(user) => known(tree, user)?,
        None => (PASSWD.to_owned(), GROUP.to_owned()),
    };
    for (path, text) in
        [("etc/passwd", passwd), ("etc/group", group), ("etc/nsswitch.conf", NSSWITCH.to_owned())]
    {
        tree.put(Path::new(path), Node::Text(text), 0o644, (0, 0), Part::Libraries, Taken::Keep)?;
    }
    Ok(())
}

/// The two files with `user` in them: many programs (initdb, ssh) refuse to run as somebody without a name.
fn known(tree: &Tree, user: &str) -> Result<(String, String), BuildError> {
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    let passwd = tree.text(Path::new("etc/passwd"));
    let Ok(uid) = name.parse::<u32>() else {
        let there = passwd.as_deref().unwrap_or(PASSWD);
        if there.lines().any(|line| line.split(':').next() == Some(name)) {
            return Ok((PASSWD.to_owned(), GROUP.to_owned()));
        }
        return Err(tree.unknown_user(user));
    };
    if uid == 0 || uid == 65534 {
        return Ok((PASSWD.to_owned(), GROUP.to_owned()));
    }
    let gid = group.parse::<u32>().unwrap_or(0);
    let group_line = if gid == 0 { String::new() } else { format!("app:x:{gid}:\n") };
    Ok((format!("{PASSWD}app:x:{uid}:{gid}:app:/:/bin/sh\n"), format!("{GROUP}{group_line}")))
}
