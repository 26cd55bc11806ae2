//! Carries out a step's actions through the API.

use futures::future::try_join_all;
use serde_json::{Value, json};
use skep_apiserver::{DeleteOptions, Patch, PatchOptions, Preconditions, Resources, Status};

use super::recorder::{self, Note};
use crate::action::{Action, Target};
use crate::object;

/// Writes in order. Creations and deletions that stand next to each other go together, so that they share one flush to
/// the disk. An object that is gone by now needs nothing any more.
///
/// # Errors
/// The first refusal; what comes after it is not done.
pub(crate) async fn carry_out(
    resources: &Resources,
    actions: Vec<Action>,
    manager: &str,
) -> Result<(), Status> {
    let mut rest = actions.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut together = vec![first];
        while let Some(next) = rest.next_if(|next| is_alike(&together[0], next)) {
            together.push(next);
        }
        try_join_all(together.into_iter().map(|action| one(resources, action, manager))).await?;
    }
    Ok(())
}

fn is_alike(first: &Action, next: &Action) -> bool {
    matches!(
        (first, next),
        (Action::Create(_), Action::Create(_))
            | (Action::Delete { .. } | Action::Event { .. }, Action::Delete { .. } | Action::Event { .. })
    )
}

async fn one(resources: &Resources, action: Action, manager: &str) -> Result<(), Status> {
    let written = match action {
        Action::Create(object) => create(resources, object, manager).await,
        Action::Patch { target, patch } => patch_one(resources, &target, patch, manager).await,
        Action::Status(object) => resources.update_status(object, manager).await.map(drop),
        Action::Delete { target, propagation } => {
            let options = DeleteOptions {
                propagation: Some(propagation),
                preconditions: Preconditions { uid: Some(target.uid.clone()), resource_version: None },
                ..DeleteOptions::default()
            };
            resources.delete(target.kind, scope(&target.namespace), &target.name, options).await.map(drop)
        }
        Action::FinalizeNamespace(name) => resources.finalize_namespace(&name).await.map(drop),
        Action::Event { about, reason, message, warning } => {
            let note =
                Note { about, reason: reason.to_owned(), message, warning, component: manager.to_owned() };
            recorder::record(resources, note).await;
            Ok(())
        }
    };
    match written {
        Err(status) if status.is_not_found() => Ok(()),
        other => other,
    }
}

/// Creates, and tells of a new pod on its owner's behalf: only now does it have a name.
async fn create(resources: &Resources, object: Value, manager: &str) -> Result<(), Status> {
    let created = resources.create(object, manager).await?;
    let owner = object::controller(&created).filter(|_| object::text(&created, "/kind") == "Pod");
    if let Some(owner) = owner {
        let of = |field: &str| owner.get(field).cloned().unwrap_or_default();
        let note = Note {
            about: json!({
                "apiVersion": of("apiVersion"), "kind": of("kind"), "name": of("name"), "uid": of("uid"),
                "namespace": object::namespace(&created),
            }),
            reason: "SuccessfulCreate".to_owned(),
            message: format!("Created pod: {}", object::name(&created)),
            warning: false,
            component: manager.to_owned(),
        };
        recorder::record(resources, note).await;
    }
    Ok(())
}

async fn patch_one(
    resources: &Resources,
    target: &Target,
    mut patch: Value,
    manager: &str,
) -> Result<(), Status> {
    // The UID makes sure that a namesake made meanwhile is not written to.
    patch["metadata"]["uid"] = Value::from(target.uid.as_str());
    let options = PatchOptions { manager: manager.to_owned(), ..PatchOptions::default() };
    resources
        .patch(target.kind, scope(&target.namespace), &target.name, Patch::Merge(patch), options)
        .await
        .map(drop)
}

/// A namespace as the API takes it.
pub(crate) fn scope(namespace: &str) -> Option<&str> {
    Some(namespace).filter(|namespace| !namespace.is_empty())
}
