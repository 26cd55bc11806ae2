//! Who owns what: a controller adopts objects that match its selector and have no controller, and releases its own that
//! stopped matching.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::action::Action;
use crate::kind::Kind;
use crate::{object, selector};

/// The objects of `candidates` (of one kind, in the owner's namespace) that `owner` controls.
///
/// `Err` holds the adoptions and releases that must be written first; the look is repeated after them.
pub(crate) fn claim(
    kind: Kind,
    owner: &Value,
    candidates: &[Arc<Value>],
) -> Result<Vec<Arc<Value>>, Vec<Action>> {
    let wanted = owner.pointer("/spec/selector");
    let mut mine = Vec::new();
    let mut claims = Vec::new();
    for one in candidates {
        let matches = selector::matches(wanted, one);
        match object::controller(one) {
            Some(controller) if object::text(controller, "/uid") != object::uid(owner) => {}
            Some(_) if matches => mine.push(Arc::clone(one)),
            Some(_) if !object::is_deleting(owner) => claims.push(release(kind, owner, one)),
            None if matches && !object::is_deleting(owner) && !object::is_deleting(one) => {
                claims.push(adopt(kind, owner, one));
            }
            _ => {}
        }
    }
    if claims.is_empty() { Ok(mine) } else { Err(claims) }
}

fn adopt(kind: Kind, owner: &Value, object: &Value) -> Action {
    let mut owners = object::array(object, "/metadata/ownerReferences").to_vec();
    owners.push(object::controller_reference(owner));
    Action::patch(kind, object, json!({"metadata": {"ownerReferences": owners}}))
}

fn release(kind: Kind, owner: &Value, object: &Value) -> Action {
    let owners: Vec<_> = object::array(object, "/metadata/ownerReferences")
        .iter()
        .filter(|one| object::text(one, "/uid") != object::uid(owner))
        .collect();
    Action::patch(kind, object, json!({"metadata": {"ownerReferences": owners}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "a", "uid": "u1"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}}})
    }

    fn pod(app: &str, owners: &Value) -> Arc<Value> {
        Arc::new(json!({"metadata": {"name": "p", "uid": "p1", "namespace": "a", "labels": {"app": app},
            "ownerReferences": owners}}))
    }

    #[test]
    fn matching_orphans_are_adopted() {
        let actions = claim(Kind::POD, &owner(), &[pod("web", &json!([]))]).unwrap_err();
        let Action::Patch { patch, .. } = &actions[0] else { unreachable!("{actions:?}") };
        assert_eq!(patch["metadata"]["ownerReferences"][0]["uid"], "u1");
        assert_eq!(patch["metadata"]["ownerReferences"][0]["controller"], true);
    }

    #[test]
    fn own_objects_that_stopped_matching_are_released() {
        let actions =
            claim(Kind::POD, &owner(), &[pod("other", &json!([{"uid": "u1", "controller": true}]))])
                .unwrap_err();
        let Action::Patch { patch, .. } = &actions[0] else { unreachable!("{actions:?}") };
        assert_eq!(patch["metadata"]["ownerReferences"], json!([]));
    }

    #[test]
    fn others_objects_are_left_alone() {
        // A re-created owner has another UID: its namesake's children are not its own.
        let theirs = pod("web", &json!([{"uid": "u0", "name": "web", "controller": true}]));
        assert_eq!(claim(Kind::POD, &owner(), &[theirs]).unwrap(), Vec::<Arc<Value>>::new());
        let mut leaving = owner();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(claim(Kind::POD, &leaving, &[pod("web", &json!([]))]).unwrap().is_empty());
    }
}
