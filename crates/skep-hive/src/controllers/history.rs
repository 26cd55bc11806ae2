//! The templates that a StatefulSet or DaemonSet has had, each kept as a ControllerRevision: `kubectl rollout history` and `undo` read
//! them, and pods are told apart by them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::action::Action;
use crate::kind::Kind;
use crate::object;

/// Names the revision that a pod was made from.
pub(crate) const REVISION_HASH: &str = "controller-revision-hash";

/// The revisions of one owner, the oldest first.
pub(crate) struct History {
    revisions: Vec<Arc<Value>>,
    /// Where the present template is among them.
    newest: usize,
}

impl History {
    /// Finds the revision of the present template. `Err` holds what must be written first; the look is repeated after it.
    /// `all`: every ControllerRevision of the namespace; `in_use`: names of those that pods still have.
    pub(crate) fn of(owner: &Value, all: &[Arc<Value>], in_use: &[&str]) -> Result<Self, Vec<Action>> {
        let mine = all.iter().filter(|one| object::is_controlled_by(one, object::uid(owner)));
        let mut revisions: Vec<Arc<Value>> = mine.cloned().collect();
        revisions.sort_by_key(|one| number(one));
        let last = revisions.last().map_or(0, |one| number(one));
        let data = data_of(owner);
        let same = |one: &Arc<Value>| object::normal(&one["data"]) == object::normal(&data);
        let Some(newest) = revisions.iter().rposition(same) else {
            return Err(vec![Action::Create(made(owner, &data, last + 1, all))]);
        };
        // An old template that is wanted again is the newest revision.
        if number(&revisions[newest]) < last {
            let patch = json!({"revision": last + 1});
            return Err(vec![Action::patch(Kind::CONTROLLER_REVISION, &revisions[newest], patch)]);
        }
        let limit = object::integer(owner, "/spec/revisionHistoryLimit").unwrap_or(10);
        let old = revisions.iter().enumerate().filter(|(at, one)| {
            *at != newest && !in_use.contains(&object::name(one)) && !in_use.contains(&hash(one))
        });
        let old: Vec<_> = old.map(|(_, one)| one).collect();
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        if surplus > 0 {
            let gone = old.into_iter().take(surplus);
            return Err(gone.map(|one| Action::delete(Kind::CONTROLLER_REVISION, one)).collect());
        }
        Ok(Self { revisions, newest })
    }

    /// The name of the present template's revision.
    pub(crate) fn update(&self) -> &str {
        object::name(&self.revisions[self.newest])
    }

    /// Its hash alone.
    pub(crate) fn update_hash(&self) -> &str {
        hash(&self.revisions[self.newest])
    }

    /// The template of a revision.
    pub(crate) fn template(&self, name: &str) -> Option<&Value> {
        let found = self.revisions.iter().find(|one| object::name(one) == name)?;
        found.pointer("/data/spec/template")
    }
}

fn number(revision: &Value) -> i64 {
    object::integer(revision, "/revision").unwrap_or(0)
}

fn hash(revision: &Value) -> &str {
    object::label(revision, REVISION_HASH).unwrap_or_default()
}

/// The template as a patch that puts it back.
fn data_of(owner: &Value) -> Value {
    let mut template = owner.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    template["$patch"] = json!("replace");
    json!({"spec": {"template": template}})
}

fn made(owner: &Value, data: &Value, number: i64, all: &[Arc<Value>]) -> Value {
    let taken = |name: &str| all.iter().any(|one| object::name(one) == name);
    let named = |salt| {
        let hash = object::hash(data, salt);
        (format!("{}-{hash}", object::name(owner)), hash)
    };
    let (name, hash) = (0..).map(named).find(|(name, _)| !taken(name)).unwrap_or_default();
    let mut labels = object::map(owner, "/spec/template/metadata/labels").cloned().unwrap_or_default();
    labels.insert(REVISION_HASH.to_owned(), json!(hash));
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": name, "namespace": object::namespace(owner), "labels": labels,
            "annotations": owner.pointer("/metadata/annotations").cloned().unwrap_or_default(),
            "ownerReferences": [object::controller_reference(owner)],
        },
        "data": data, "revision": number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(image: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "a", "uid": "u"},
            "spec": {"revisionHistoryLimit": 1, "template": {"spec": {"containers": [{"image": image}]}}}})
    }

    /// Looks until nothing is to be written, as the loop does.
    fn settle(owner: &Value, kept: &mut Vec<Arc<Value>>, in_use: &[&str]) -> History {
        loop {
            let actions = match History::of(owner, kept, in_use) {
                Ok(history) => return history,
                Err(actions) => actions,
            };
            for action in actions {
                match action {
                    Action::Create(one) => kept.push(Arc::new(one)),
                    Action::Patch { target, patch } => {
                        let found = kept.iter_mut().find(|one| object::name(one) == target.name).unwrap();
                        Arc::make_mut(found)["revision"] = patch["revision"].clone();
                    }
                    Action::Delete { target, .. } => kept.retain(|one| object::name(one) != target.name),
                    other => unreachable!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_template_that_comes_again_is_the_newest() {
        let mut kept = Vec::new();
        let one = settle(&owner("one"), &mut kept, &[]).update().to_owned();
        let two = settle(&owner("two"), &mut kept, &[&one]).update().to_owned();
        assert_ne!(one, two);
        let again = settle(&owner("one"), &mut kept, &[&one, &two]);
        assert_eq!(again.update(), one);
        assert_eq!(again.template(&two).unwrap()["spec"]["containers"][0]["image"], "two");
        assert_eq!(kept.iter().map(|one| number(one)).max(), Some(3));
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn old_ones_go_when_no_pod_has_them() {
        let mut kept = Vec::new();
        for image in ["one", "two", "three", "four"] {
            settle(&owner(image), &mut kept, &[]);
        }
        assert_eq!(kept.len(), 2, "the present one, and one more");
    }
}
