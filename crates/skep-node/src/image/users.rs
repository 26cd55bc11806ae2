//! Users and groups by name, as the image's own `/etc/passwd` and `/etc/group` have them.

use std::path::{Path, PathBuf};

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// The two files' texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lookup {
    passwd: String,
    group: String,
}

impl Lookup {
    /// Reads them from an image's layers, lowest first.
    pub(crate) fn of(layers: &[PathBuf]) -> Self {
        Self { passwd: topmost(layers, "passwd"), group: topmost(layers, "group") }
    }

    /// The identity for `user` (`name`, `uid`, `name:group`, `uid:gid`; empty is root).
    pub(crate) fn identity(&self, user: &str) -> Result<Identity, String> {
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        let name = if name.is_empty() { "0" } else { name };
        let number = name.parse::<u32>().ok();
        let entry = lines(&self.passwd).find(|fields| {
            fields.first() == Some(&name)
                || (number.is_some() && fields.get(2).and_then(|id| id.parse().ok()) == number)
        });
        let field = |index: usize| entry.as_ref().and_then(|fields| fields.get(index)).copied();
        let id = |index: usize| field(index).and_then(|id| id.parse::<u32>().ok());
        let uid = number
            .or_else(|| id(2))
            .ok_or_else(|| format!("unable to find user {name}: no matching entries in passwd file"))?;
        let gid = match group.filter(|group| !group.is_empty()) {
            None => id(3).unwrap_or(0),
            Some(group) => self
                .group_id(group)
                .ok_or_else(|| format!("unable to find group {group}: no matching entries in group file"))?,
        };
        let user_name = field(0).unwrap_or(name);
        let groups = if group.is_some() { Vec::new() } else { self.groups_of(user_name) };
        let home = field(5).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
        Ok(Identity { uid, gid, groups, home })
    }

    fn group_id(&self, group: &str) -> Option<u32> {
        group.parse().ok().or_else(|| {
            lines(&self.group).find(|fields| fields.first() == Some(&group))?.get(2)?.parse().ok()
        })
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        lines(&self.group)
            .filter(|fields| {
                fields.get(3).is_some_and(|members| members.split(',').any(|member| member == user))
            })
            .filter_map(|fields| fields.get(2)?.parse().ok())
            .collect()
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

/// The uppermost layer's file. Symbolic links are not followed: in an image they could lead to the host's.
fn topmost(layers: &[PathBuf], name: &str) -> String {
    let plain_file = |layer: &PathBuf| -> Option<String> {
        let folder = layer.join("etc");
        let path: &Path = &folder.join(name);
        let ok = folder.symlink_metadata().ok()?.is_dir() && path.symlink_metadata().ok()?.is_file();
        ok.then(|| std::fs::read_to_string(path).ok())?
    };
    layers.iter().rev().find_map(plain_file).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let lookup = Lookup {
            passwd: "root:x:0:0:root:/root:/bin/sh\npostgres:x:70:71::/var/lib/postgresql:/bin/sh\n"
                .to_owned(),
            group: "root:x:0:\nssl-cert:x:101:postgres,other\nweb:x:33:\n".to_owned(),
        };
        let postgres =
            Identity { uid: 70, gid: 71, groups: vec![101], home: "/var/lib/postgresql".to_owned() };
        assert_eq!(lookup.identity("postgres"), Ok(postgres.clone()));
        assert_eq!(lookup.identity("70"), Ok(postgres));
        let of = |user: &str| lookup.identity(user).map(|identity| (identity.uid, identity.gid));
        assert_eq!(of(""), Ok((0, 0)));
        assert_eq!(of("1000"), Ok((1000, 0)));
        assert_eq!(of("1000:1001"), Ok((1000, 1001)));
        assert_eq!(of("postgres:web"), Ok((70, 33)));
        assert!(of("nobody").is_err_and(|message| message.contains("nobody")));
        assert!(of("0:nobody").is_err());
    }
}
