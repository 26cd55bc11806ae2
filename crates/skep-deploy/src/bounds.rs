//! What a record may bring back. Records are Secrets of the app's namespace: who may write those must not gain more by the next rollback.

use skep_model::{Event, ObjectKey, Step};

use crate::{App, Failure, Plan, Verb, error::Problem};

/// Refuses a recorded release that reaches outside the app, and names the objects that it adds to `today`'s manifests.
///
/// # Errors
/// When it has an object of another namespace, or would create or change a cluster-scoped object that `today` lacks.
pub(crate) async fn check(app: &App, plan: &Plan, today: &[ObjectKey]) -> Result<(), Failure> {
    let namespace = app.namespace();
    let release = plan.desired.release.unwrap_or_default();
    let mut foreign = Vec::new();
    let mut of_the_cluster = Vec::new();
    let mut added = Vec::new();
    for key in plan.desired.objects.iter().filter_map(ObjectKey::of) {
        let change = plan.changed().iter().find(|change| change.object.same_object(&key));
        let change = change.filter(|_| !today.iter().any(|known| known.same_object(&key)));
        if !is_namespaced(app, &key).await {
            if change.is_some() && (key.kind != "Namespace" || key.name != namespace) {
                of_the_cluster.push(key.to_string());
            }
        } else if key.namespace.as_deref() != Some(namespace) {
            foreign.push(format!("{key} in namespace {}", key.namespace.as_deref().unwrap_or("default")));
        } else if change.is_some_and(|change| change.verb == Verb::Create) && !plan.is_config(&key) {
            added.push(key.to_string());
        }
    }
    refuse(
        &foreign,
        release,
        "deploy from the manifests instead: a rollback writes to the app's namespace only",
    )?;
    let hint = "add these cluster-scoped objects to the manifests, or check out that release's commit and run `skep deploy`";
    refuse(&of_the_cluster, release, hint)?;
    if !added.is_empty() {
        let message = format!("v{release} adds what today's manifests don't have: {}", added.join(", "));
        app.emit.emit(Event::Warning { message });
    }
    Ok(())
}

/// By the API's own word: a namespace that is written on a cluster-scoped object means nothing.
async fn is_namespaced(app: &App, key: &ObjectKey) -> bool {
    match app.cluster.route(&key.api_version, &key.kind).await {
        Ok(route) => route.namespaced,
        Err(_) => key.namespace.is_some(),
    }
}

fn refuse(objects: &[String], release: u64, hint: &str) -> Result<(), Failure> {
    if objects.is_empty() {
        return Ok(());
    }
    let what =
        format!("the record of v{release} has objects that a rollback may not write: {}", objects.join(", "));
    Err(Failure::at(Step::Plan, Problem::Project { what, hint: hint.to_owned() }))
}
