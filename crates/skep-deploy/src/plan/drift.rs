//! What somebody changed by hand since the last release: it is shown, and never fought over silently.

use serde_json::Value;
use skep_cluster::{FieldConflict, MANAGER};
use skep_manifest::{Difference, differences};
use skep_model::{ObjectKey, Release};

/// Something that is not as the last release left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// Which object.
    pub object: ObjectKey,
    /// What happened to it.
    pub what: Drifted,
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Drifted {
    /// It was deleted; a deploy makes it again.
    Deleted,
    /// kubectl has added a field that the manifests don't speak of; it stays.
    Added {
        /// `spec.template.spec.containers[api].env[DEBUG]`.
        path: String,
        /// Under which name, such as `kubectl-set`.
        manager: String,
        /// What it is; hidden in a Secret.
        live: Value,
    },
    /// Another manager has taken a field; a deploy refuses to take it back.
    Field {
        /// `spec.replicas`.
        path: String,
        /// Who owns it now, such as `kubectl-edit`.
        manager: String,
        /// What it is; `None` when the value can't be told apart.
        live: Option<Value>,
        /// What the release wants it to be.
        wanted: Option<Value>,
    },
}

impl Drift {
    /// Hides what nobody is to see; `mask` does so for a field.
    pub(super) fn mask(&mut self, mask: impl Fn(Difference) -> Option<Difference>) {
        let masked = |path: &str, from: Option<Value>, to: Option<Value>| {
            mask(Difference { path: path.to_owned(), from, to })
                .map_or((None, None), |field| (field.from, field.to))
        };
        match &mut self.what {
            Drifted::Deleted => {}
            Drifted::Added { path, live, .. } => {
                *live = masked(path, Some(live.take()), None).0.unwrap_or_default();
            }
            Drifted::Field { path, live, wanted, .. } => {
                (*live, *wanted) = masked(path, live.take(), wanted.take());
            }
        }
    }
}

/// An object of the last release that is not there.
pub(super) fn deleted(object: &ObjectKey, last: Option<&Release>) -> Option<Drift> {
    let had = last?.inventory.iter().any(|key| key.same_object(object));
    had.then(|| Drift { object: object.clone(), what: Drifted::Deleted })
}

/// Fields of an object of ours that people have added through kubectl.
pub(super) fn added(object: &ObjectKey, live: &Value) -> Vec<Drift> {
    let drift = |(manager, field): (String, Difference)| {
        let live = field.from.unwrap_or_default();
        Drift { object: object.clone(), what: Drifted::Added { path: field.path, manager, live } }
    };
    skep_manifest::added_by_kubectl(live, MANAGER).into_iter().map(drift).collect()
}

/// The fields that others own, and what else a forced apply would change.
pub(super) fn taken(
    object: &ObjectKey,
    conflicts: &[FieldConflict],
    live: &Value,
    forced: &Value,
) -> (Vec<Drift>, Vec<Difference>) {
    let mut rest = differences(live, forced);
    let drifts = conflicts.iter().map(|conflict| {
        let path = in_our_words(&conflict.field);
        let found = rest.iter().position(|difference| difference.path == path).map(|at| rest.remove(at));
        let (live, wanted) = found.map_or((None, None), |difference| (difference.from, difference.to));
        let what = Drifted::Field { path, manager: conflict.manager.clone(), live, wanted };
        Drift { object: object.clone(), what }
    });
    (drifts.collect(), rest)
}

/// `.spec.containers[name="api"].image` as `spec.containers[api].image`; a port's key is its number.
fn in_our_words(field: &str) -> String {
    let mut path = String::new();
    let mut rest = field.trim_start_matches('.');
    while let Some((before, after)) = rest.split_once('[') {
        let Some((key, after)) = after.split_once(']') else { break };
        let first = key.split(',').next().unwrap_or(key);
        let value = first.split_once('=').map_or(first, |(_, value)| value);
        path.push_str(&format!("{before}[{}]", value.trim_matches('"')));
        rest = after;
    }
    path + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_s_field_is_named_as_a_difference_s() {
        assert_eq!(in_our_words(".spec.replicas"), "spec.replicas");
        assert_eq!(
            in_our_words(r#".spec.template.spec.containers[name="api"].image"#),
            "spec.template.spec.containers[api].image"
        );
        assert_eq!(
            in_our_words(r#".spec.ports[port=80,protocol="TCP"].targetPort"#),
            "spec.ports[80].targetPort"
        );
    }
}
