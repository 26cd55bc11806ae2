//! Garbage collection by `ownerReferences`: what happens to dependents when their owners go.
//!
//! Owners are known by UID: a re-created owner of the same name inherits nothing. An object goes when its last owner has
//! gone. `foregroundDeletion` on an owner waits for the dependents that block it; `orphan` strips their references.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};
use skep_apiserver::Propagation;

use crate::action::{Action, Step, Target};
use crate::kind::Kind;
use crate::object;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// All objects of the cluster, by what garbage collection asks.
struct Graph<'a> {
    objects: &'a [(Kind, Arc<Value>)],
    by_uid: HashMap<&'a str, &'a Arc<Value>>,
    /// UIDs of owners that some living object names as an owner it blocks, and of owners with any dependent.
    blocked: HashSet<&'a str>,
    with_dependents: HashSet<&'a str>,
}

/// Looks at everything. `served`: whether an owner's apiVersion and kind exist here; owners of other kinds count as alive.
pub(crate) fn step(objects: &[(Kind, Arc<Value>)], served: impl Fn(&str, &str) -> bool) -> Step {
    let graph = Graph::new(objects);
    let mut step = Step::default();
    for (kind, one) in objects {
        if object::is_deleting(one) && object::has_finalizer(one, ORPHAN) {
            step.actions.extend(graph.orphan(*kind, one));
        } else if object::is_deleting(one)
            && object::has_finalizer(one, FOREGROUND)
            && !graph.blocked.contains(object::uid(one))
        {
            step.push(without_finalizer(*kind, one, FOREGROUND));
        }
        if !object::array(one, "/metadata/ownerReferences").is_empty() {
            step.actions.extend(graph.judge(*kind, one, &served));
        }
    }
    step
}

impl<'a> Graph<'a> {
    fn new(objects: &'a [(Kind, Arc<Value>)]) -> Self {
        let mut graph = Self {
            objects,
            by_uid: objects.iter().map(|(_, one)| (object::uid(one), one)).collect(),
            blocked: HashSet::new(),
            with_dependents: HashSet::new(),
        };
        for (_, one) in objects {
            for owner in object::array(one, "/metadata/ownerReferences") {
                graph.with_dependents.insert(object::text(owner, "/uid"));
                if object::flag(owner, "/blockOwnerDeletion") {
                    graph.blocked.insert(object::text(owner, "/uid"));
                }
            }
        }
        graph
    }

    /// What becomes of an object that has owners.
    fn judge(&self, kind: Kind, one: &Value, served: &impl Fn(&str, &str) -> bool) -> Option<Action> {
        if object::is_deleting(one) {
            return None;
        }
        let (mut solid, mut gone, mut waiting) = (Vec::new(), 0, 0);
        for owner in object::array(one, "/metadata/ownerReferences") {
            match self.owner_of(one, owner) {
                None if served(object::text(owner, "/apiVersion"), object::text(owner, "/kind")) => gone += 1,
                Some(found) if object::is_deleting(found) && object::has_finalizer(found, FOREGROUND) => {
                    waiting += 1;
                }
                _ => solid.push(owner.clone()),
            }
        }
        match (solid.is_empty(), gone, waiting) {
            (_, 0, 0) => None,
            (false, ..) => Some(Action::patch(kind, one, json!({"metadata": {"ownerReferences": solid}}))),
            // An owner waits in the foreground: so must this one's own dependents go before it.
            (true, _, 1..) if self.with_dependents.contains(object::uid(one)) => {
                Some(Action::Delete { target: Target::of(kind, one), propagation: Propagation::Foreground })
            }
            (true, ..) => Some(Action::delete(kind, one)),
        }
    }

    /// The living owner that a reference means: same UID, and in the same namespace or in none.
    fn owner_of(&self, one: &Value, owner: &Value) -> Option<&Arc<Value>> {
        let found = self.by_uid.get(object::text(owner, "/uid"))?;
        let namespace = object::namespace(found);
        (namespace.is_empty() || namespace == object::namespace(one)).then_some(found)
    }

    /// Strips the references to an owner, then lets the owner go.
    fn orphan(&self, kind: Kind, owner: &Value) -> Vec<Action> {
        let mut actions: Vec<_> = self
            .objects
            .iter()
            .filter_map(|(kind, one)| {
                let owners = object::array(one, "/metadata/ownerReferences");
                let rest: Vec<_> =
                    owners.iter().filter(|found| object::text(found, "/uid") != object::uid(owner)).collect();
                (rest.len() < owners.len())
                    .then(|| Action::patch(*kind, one, json!({"metadata": {"ownerReferences": rest}})))
            })
            .collect();
        // The owner stays until a look finds nothing left to strip: a failed patch must not cost a dependent its life.
        if actions.is_empty() {
            actions.push(without_finalizer(kind, owner, ORPHAN));
        }
        actions
    }
}

fn without_finalizer(kind: Kind, one: &Value, finalizer: &str) -> Action {
    let rest = object::finalizers_without(one, finalizer);
    Action::patch(kind, one, json!({"metadata": {"finalizers": rest}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(kind: Kind, name: &str, owners: &[&str], edit: impl FnOnce(&mut Value)) -> (Kind, Arc<Value>) {
        let owners: Vec<_> = owners
            .iter()
            .map(|uid| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid, "blockOwnerDeletion": true}))
            .collect();
        let mut one =
            json!({"metadata": {"name": name, "namespace": "a", "uid": name, "ownerReferences": owners}});
        edit(&mut one);
        (kind, Arc::new(one))
    }

    fn leaving(finalizer: &str) -> impl FnOnce(&mut Value) {
        let finalizer = finalizer.to_owned();
        move |one| {
            one["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            one["metadata"]["finalizers"] = json!([finalizer]);
        }
    }

    fn told(step: &Step) -> Vec<String> {
        let told = step.actions.iter().map(|action| match action {
            Action::Delete { target, propagation } => format!("delete {} {propagation:?}", target.name),
            Action::Patch { target, patch } => {
                let metadata = &patch["metadata"];
                let owners = metadata["ownerReferences"].as_array();
                let left = owners.map(|all| all.iter().map(|o| object::text(o, "/uid")).collect::<Vec<_>>());
                format!("patch {} {left:?} {}", target.name, metadata["finalizers"])
            }
            other => format!("{other:?}"),
        });
        told.collect()
    }

    fn look(objects: &[(Kind, Arc<Value>)]) -> Vec<String> {
        told(&step(objects, |version, _| version == "apps/v1"))
    }

    const POD: Kind = Kind::POD;
    const SET: Kind = Kind::REPLICA_SET;

    #[test]
    fn dependents_go_when_the_last_owner_has_gone() {
        assert_eq!(look(&[thing(POD, "p", &["gone"], |_| {})]), ["delete p Background"]);
        assert_eq!(
            look(&[thing(SET, "rs", &[], |_| {}), thing(POD, "p", &["rs"], |_| {})]),
            Vec::<String>::new()
        );
        let two = [thing(SET, "rs", &[], |_| {}), thing(POD, "p", &["rs", "gone"], |_| {})];
        assert_eq!(look(&two), ["patch p Some([\"rs\"]) null"]);
        assert_eq!(look(&[thing(POD, "p", &["gone", "gone-too"], |_| {})]), ["delete p Background"]);
    }

    #[test]
    fn an_owner_in_another_namespace_is_no_owner() {
        let far = thing(SET, "rs", &[], |one| one["metadata"]["namespace"] = json!("b"));
        assert_eq!(look(&[far, thing(POD, "p", &["rs"], |_| {})]), ["delete p Background"]);
    }

    #[test]
    fn owners_of_unknown_kinds_count_as_alive() {
        let pod = thing(POD, "p", &["x"], |one| {
            one["metadata"]["ownerReferences"][0]["apiVersion"] = json!("example.com/v1");
        });
        assert_eq!(look(&[pod]), Vec::<String>::new());
    }

    #[test]
    fn foreground_waits_for_those_that_block() {
        let deployment = || thing(Kind::DEPLOYMENT, "d", &[], leaving(FOREGROUND));
        let set = |edit: fn(&mut Value)| thing(SET, "rs", &["d"], edit);
        let pod = || thing(POD, "p", &["rs"], |_| {});
        // The set has dependents of its own, so it too goes in the foreground.
        assert_eq!(look(&[deployment(), set(|_| {}), pod()]), ["delete rs Foreground"]);
        let going = thing(SET, "rs", &["d"], leaving(FOREGROUND));
        assert_eq!(look(&[deployment(), going.clone(), pod()]), ["delete p Background"]);
        assert_eq!(look(&[deployment(), going]), ["patch rs None []"]);
        assert_eq!(look(&[deployment()]), ["patch d None []"]);
    }

    #[test]
    fn a_dependent_that_does_not_block_holds_nobody_up() {
        let pod = thing(POD, "p", &["rs"], |one| {
            one["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = json!(false);
        });
        let found = look(&[thing(SET, "rs", &[], leaving(FOREGROUND)), pod]);
        assert_eq!(found, ["patch rs None []", "delete p Background"]);
    }

    #[test]
    fn orphaning_strips_references_and_deletes_nothing() {
        let set = || thing(SET, "rs", &[], leaving(ORPHAN));
        assert_eq!(look(&[set(), thing(POD, "p", &["rs"], |_| {})]), ["patch p Some([]) null"]);
        assert_eq!(look(&[set(), thing(POD, "p", &[], |_| {})]), ["patch rs None []"]);
    }
}
