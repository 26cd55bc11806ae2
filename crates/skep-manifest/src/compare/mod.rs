//! Comparing objects field by field.
//!
//! [`differences`] compares two descriptions of an object, both ways. [`changes`] asks what a server-side apply would change:
//! fields that the cluster filled in don't count, lists that Kubernetes merges by key are compared by key, amounts by
//! what they amount to, and a field that this manager wrote before and leaves out now counts as taken away. It errs on the
//! side of a change: a needless apply does nothing, a missing one is a wrong deploy.

mod absent;
mod lists;
mod owned;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use absent::counts_as_absent;
use lists::{Key, list_key};
pub(crate) use owned::{Fields, item_of};
use skep_model::Quantity;

/// The live value of each of `fields` that `others` lacks; a Secret's data is hidden.
pub(crate) fn leaves(live: &Value, fields: &Fields, others: &Fields) -> Vec<Difference> {
    let found = owned::leaves(live, fields, others).into_iter();
    let field = |(path, from)| hidden(Difference { path, from: Some(from), to: None }, is_secret(live));
    found.map(field).collect()
}

/// One field that differs. A Secret's values are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `spec.template.spec.containers[api].image`.
    pub path: String,
    /// What was; `None` if the field is new.
    pub from: Option<Value>,
    /// What is to be; `None` if the field goes away.
    pub to: Option<Value>,
}

/// Fields that the server fills in.
const SERVER_METADATA: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];
const SERVER_ANNOTATIONS: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
];

/// All fields in which two objects differ, leaving out what the server fills in; sorted by path.
pub fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    compare(from, to, Mode::Both)
}

/// What applying `desired` as `manager` would change in `live`.
pub fn changes(live: &Value, desired: &Value, manager: &str) -> Vec<Difference> {
    let mut found = compare(live, desired, Mode::Desired);
    for (path, from) in owned::dropped(live, desired, manager) {
        let (from, to) = (Some(from), None);
        found.push(hidden(Difference { path, from, to }, is_secret(desired)));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found
}

/// Whether applying `desired` as `manager` would change nothing.
pub fn is_applied(live: &Value, desired: &Value, manager: &str) -> bool {
    changes(live, desired, manager).is_empty()
}

/// Which fields count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Those of either.
    Both,
    /// Those of the second, since the first is what a server has made of it.
    Desired,
}

fn compare(from: &Value, to: &Value, mode: Mode) -> Vec<Difference> {
    let mut walk = Walk {
        mode,
        is_service: to.get("kind").and_then(Value::as_str) == Some("Service"),
        found: Vec::new(),
    };
    walk.field("", &[], Some(from), Some(to));
    let secret = is_secret(to);
    let mut found: Vec<Difference> = walk.found.into_iter().map(|one| hidden(one, secret)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
}

fn hidden(mut difference: Difference, secret: bool) -> Difference {
    let is_data = ["data", "stringData"].iter().any(|data| difference.path.starts_with(data));
    if secret && is_data {
        let hide = |value: &mut Value| *value = Value::String("(hidden)".to_owned());
        difference.from.as_mut().map(hide);
        difference.to.as_mut().map(hide);
    }
    difference
}

struct Walk {
    mode: Mode,
    is_service: bool,
    found: Vec<Difference>,
}

impl Walk {
    /// Compares a field. `names`: the keys on the way to it, without list items.
    fn field(&mut self, path: &str, names: &[&str], from: Option<&Value>, to: Option<&Value>) {
        let from = from.filter(|value| !value.is_null());
        let to = to.filter(|value| !value.is_null());
        match (from, to) {
            (None, None) => {}
            (Some(value), None) => {
                if self.mode == Mode::Both && !counts_as_absent(names, value) && !is_all_servers(names, value)
                {
                    self.found(path, from, to);
                }
            }
            (None, Some(value)) => {
                if !counts_as_absent(names, value) {
                    self.found(path, from, to);
                }
            }
            (Some(Value::Object(below)), Some(Value::Object(above))) => {
                let both = self.mode == Mode::Both;
                let others = below.keys().filter(|key| both && !above.contains_key(*key));
                for key in above.keys().chain(others) {
                    if is_servers(names, key) {
                        continue;
                    }
                    let names: Vec<&str> = names.iter().copied().chain([key.as_str()]).collect();
                    self.field(&joined(path, key), &names, below.get(key), above.get(key));
                }
            }
            (Some(Value::Array(below)), Some(Value::Array(above))) => self.list(path, names, below, above),
            (Some(a), Some(b)) => {
                if !is_same(names, a, b) {
                    self.found(path, from, to);
                }
            }
        }
    }

    fn list(&mut self, path: &str, names: &[&str], below: &[Value], above: &[Value]) {
        let Some(key) = list_key(names, self.is_service, below, above) else {
            return self.whole_list(path, names, below, above);
        };
        let find =
            |list: &'_ [Value], wanted: &Key| list.iter().position(|item| key(item).as_ref() == Some(wanted));
        let mut positions = Vec::new();
        for item in above {
            let Some(name) = key(item) else { continue };
            let position = find(below, &name);
            positions.extend(position);
            let item_path = format!("{path}[{name}]");
            self.field(&item_path, names, position.and_then(|at| below.get(at)), Some(item));
        }
        for item in below {
            if let Some(name) =
                key(item).filter(|name| self.mode == Mode::Both && find(above, name).is_none())
            {
                self.found(&format!("{path}[{name}]"), Some(item), None);
            }
        }
        // Init containers run in order, whatever their names.
        if names.last() == Some(&"initContainers") && !positions.is_sorted() {
            let order = |list: &[Value]| {
                Value::Array(list.iter().filter_map(|item| item.get("name").cloned()).collect())
            };
            self.found(path, Some(&order(below)), Some(&order(above)));
        }
    }

    /// A list that Kubernetes replaces whole: the same items in the same order, each with what the server filled in.
    fn whole_list(&mut self, path: &str, names: &[&str], below: &[Value], above: &[Value]) {
        if below.len() == above.len() {
            for (index, (from, to)) in below.iter().zip(above).enumerate() {
                self.field(&format!("{path}[{index}]"), names, Some(from), Some(to));
            }
            return;
        }
        self.found(path, Some(&Value::from(below)), Some(&Value::from(above)));
    }

    fn found(&mut self, path: &str, from: Option<&Value>, to: Option<&Value>) {
        self.found.push(Difference { path: path.to_owned(), from: from.cloned(), to: to.cloned() });
    }
}

/// Whether a field belongs to the server.
fn is_servers(names: &[&str], key: &str) -> bool {
    match names {
        [] => key == "status",
        ["metadata"] => SERVER_METADATA.contains(&key),
        ["metadata", "annotations"] => SERVER_ANNOTATIONS.contains(&key),
        _ => false,
    }
}

/// Whether a map holds nothing but what the server, or kubectl for itself, has put there.
fn is_all_servers(names: &[&str], value: &Value) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty() && map.keys().all(|key| is_servers(names, key)))
}

fn is_same(names: &[&str], a: &Value, b: &Value) -> bool {
    if a == b {
        return true;
    }
    if let (Value::Number(a), Value::Number(b)) = (a, b) {
        return a.as_f64() == b.as_f64();
    }
    let amounts = is_quantity(names).then(|| Quantity::of(a).zip(Quantity::of(b))).flatten();
    amounts.is_some_and(|(a, b)| a == b)
}

/// Fields that Kubernetes keeps in a canonical form of its own.
fn is_quantity(names: &[&str]) -> bool {
    const MAPS: &[&str] =
        &["limits", "requests", "capacity", "hard", "overhead", "default", "defaultRequest", "allocatable"];
    match names {
        [.., "sizeLimit" | "averageValue" | "divisor"] => true,
        [.., map, _] => MAPS.contains(map),
        _ => false,
    }
}

/// `metadata.labels["app.kubernetes.io/name"]`.
fn joined(path: &str, key: &str) -> String {
    match (path.is_empty(), key.contains(['.', '/'])) {
        (_, true) => format!("{path}[\"{key}\"]"),
        (true, false) => key.to_owned(),
        (false, false) => format!("{path}.{key}"),
    }
}
