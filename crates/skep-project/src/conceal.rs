//! What an error may show of skep.yaml: names and structure, and no value that is a secret or may be one.

use std::collections::BTreeMap;

use crate::{
    bucket,
    document::{TARGET_KEYS, TOP_KEYS},
    registry,
    tree::{At, Entry, Node, Value},
};

/// Whether what stands at this path (`targets/p/registry/password`) is a secret, or takes the place of one. Below a key that
/// means nothing anything may stand: `secrets` and `password` are easily misspelled.
pub(crate) fn is_secret(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    let (names, known) = match names[..] {
        ["targets", _, ref rest @ ..] => (rest, TARGET_KEYS),
        ref all => (all, TOP_KEYS),
    };
    match *names {
        [] | [""] => false,
        ["secrets" | "recipients" | "notify", ..]
        | ["registry", "password", ..]
        | ["images", _, "secrets", ..]
        | ["bucket", "key" | "key-id", ..] => true,
        ["registry", key, ..] => !registry::KEYS.contains(&key),
        ["bucket", key, ..] => !bucket::KEYS.contains(&key),
        [key, ..] => !known.contains(&key),
    }
}

/// Whether what stands at this path below `secrets` names files or keys.
fn is_open(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    let below = names.iter().position(|name| *name == "secrets").map_or(&[][..], |at| &names[at + 1..]);
    matches!(below, [_, "env-files" | "except" | "only" | "generate"])
}

/// A key as an error may repeat it: up to the first character that no name has. `TOKEN:hunter2` is a key with a forgotten space.
pub(crate) fn name_in(key: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    match key.find(|c| !is_name(c)) {
        Some(end) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

/// A URL without the user and password in it.
pub(crate) fn without_login(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.find("://").map_or("", |end| &before[..end + 3]);
            format!("{scheme}***@{host}")
        }
        None => url.to_owned(),
    }
}

/// The file's text with its names, its structure and the values that are no secret; everything else, comments too, is `*`, each byte
/// in its place.
pub(crate) fn concealed(text: &str, root: &Node) -> String {
    let mut shown = Shown::default();
    shown.node(root, "", false);
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte) in bytes.iter_mut().enumerate() {
        let is_shown = shown.0.range(..=at).next_back().is_some_and(|(_, end)| at < *end);
        if !is_shown && !byte.is_ascii_whitespace() && !b"{}[],:-".contains(byte) {
            *byte = b'*';
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is shown: start → end, in bytes.
#[derive(Default)]
struct Shown(BTreeMap<usize, usize>);

impl Shown {
    fn node(&mut self, node: &Node, path: &str, secret: bool) {
        match &node.value {
            Value::Map(entries) => entries.iter().for_each(|entry| self.entry(entry, path)),
            Value::List(nodes) => nodes.iter().for_each(|node| self.node(node, path, secret)),
            Value::Scalar { text, .. } if !secret && !text.contains('@') => {
                self.0.insert(node.at.offset, node.at.end);
            }
            Value::Scalar { .. } => {}
        }
    }

    fn entry(&mut self, entry: &Entry, path: &str) {
        let path = if path.is_empty() { entry.key.clone() } else { format!("{path}/{}", entry.key) };
        let At { offset, end, .. } = entry.key_at;
        let name = name_in(&entry.key);
        // Without a value the key may be the secret: `{ hunter2 }`.
        if !(is_secret(&path) && entry.node.is_null()) {
            let shown = if name == entry.key { end } else { offset + name.trim_end_matches('…').len() };
            self.0.insert(offset, shown);
        }
        self.node(&entry.node, &path, is_secret(&path) && !is_open(&path));
    }
}
