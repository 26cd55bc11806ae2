//! A target's overrides, laid over the rest of the file.
//!
//! Mappings merge key by key; a list or a scalar replaces what was there; a key with nothing after it takes it away.
//! Three things are replaced whole, because half of each means nothing: a set of config or of secrets, and where a
//! password is read from. And `native` takes the place of a Dockerfile's keys, and the other way round.

use crate::tree::{Entry, Node, Value};

const DOCKER: &[&str] = &["dockerfile", "stage", "args"];

/// `over` laid over `base`. Every node keeps the place where it was written.
pub(crate) fn overlay(base: &Node, over: &Node) -> Node {
    lay(base, over, &mut Vec::new())
}

/// The mapping without some of its keys.
pub(crate) fn without(node: &Node, keys: &[&str]) -> Node {
    let mut node = node.clone();
    if let Value::Map(entries) = &mut node.value {
        entries.retain(|entry| !keys.contains(&entry.key.as_str()));
    }
    node
}

fn lay(base: &Node, over: &Node, path: &mut Vec<String>) -> Node {
    let (Value::Map(below), Value::Map(above)) = (&base.value, &over.value) else {
        return over.clone();
    };
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    if matches!(names[..], ["config" | "secrets", _] | ["registry", "password"]) {
        return over.clone();
    }
    let displaced: &[&str] = match names[..] {
        ["images", _] if over.get("native").is_some() => DOCKER,
        ["images", _] if above.iter().any(|entry| DOCKER.contains(&entry.key.as_str())) => &["native"],
        _ => &[],
    };
    let mut entries: Vec<Entry> =
        below.iter().filter(|entry| !displaced.contains(&entry.key.as_str())).cloned().collect();
    for entry in above {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => {
                path.push(entry.key.clone());
                known.node = lay(&known.node, &entry.node, path);
                known.key_at = entry.key_at;
                path.pop();
            }
            None => entries.push(entry.clone()),
        }
    }
    Node { at: over.at, value: Value::Map(entries) }
}
