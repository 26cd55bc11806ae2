//! A namespace that was deleted: it is emptied, then it goes.

use std::sync::Arc;

use serde_json::Value;

use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::object;

/// Looks at one namespace. `contents`: every object in it.
pub(crate) fn step(namespace: &Value, contents: &[(Kind, Arc<Value>)]) -> Step {
    let mut step = Step::default();
    if !object::is_deleting(namespace) {
        return step;
    }
    if contents.is_empty() {
        step.push(Action::FinalizeNamespace(object::name(namespace).to_owned()));
    }
    // Owners first: what makes pods must not replace those that go.
    let makes_pods = |kind: &Kind| [Kind::DEPLOYMENT, Kind::REPLICA_SET, Kind::JOB].contains(kind);
    let (makers, others): (Vec<_>, Vec<_>) = contents.iter().partition(|(kind, _)| makes_pods(kind));
    let going = makers.into_iter().chain(others).filter(|(_, one)| !object::is_deleting(one));
    step.actions.extend(going.map(|(kind, one)| Action::delete(*kind, one)));
    step
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(name: &str, leaving: bool) -> Arc<Value> {
        let mut one = json!({"metadata": {"name": name, "namespace": "a", "uid": name}});
        if leaving {
            one["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Arc::new(one)
    }

    #[test]
    fn emptied_owners_first_then_finalized() {
        assert_eq!(step(&one("a", false), &[(Kind::POD, one("p", false))]), Step::default());
        let contents = [
            (Kind::POD, one("p", false)),
            (Kind::SECRET, one("s", true)),
            (Kind::DEPLOYMENT, one("d", false)),
        ];
        let names: Vec<_> = step(&one("a", true), &contents)
            .actions
            .into_iter()
            .map(|action| match action {
                Action::Delete { target, .. } => target.name,
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["d", "p"]);
        assert_eq!(step(&one("a", true), &[(Kind::POD, one("p", true))]), Step::default());
        assert_eq!(step(&one("a", true), &[]).actions, [Action::FinalizeNamespace("a".to_owned())]);
    }
}
