//! check: what can be known without asking anybody.

use skep_manifest::{ManifestError, Owner};
use skep_model::{Outcome, Step};

use super::{Clock, load::Manifests};
use crate::{
    App, DeployRequest, Failure,
    error::{InStep, Problem},
};

pub(crate) fn check(
    app: &App,
    manifests: &Manifests,
    request: &DeployRequest,
    clock: &mut Clock,
) -> Result<(), Failure> {
    clock.start(Step::Check);
    let checked = services_exist(app, manifests, request)
        .and_then(|()| needs_exist(app, manifests))
        .and_then(|()| images_are_built(app, manifests));
    clock.settle(Step::Check, checked, |()| (Outcome::Done, String::new()))
}

/// Names of workloads that were asked for are names that there are.
fn services_exist(app: &App, manifests: &Manifests, request: &DeployRequest) -> Result<(), Failure> {
    let known = workloads(manifests);
    for service in &request.services {
        if !known.contains(service) {
            let what = format!("{} has no service `{service}`", app.project.app);
            return Err(Failure::at(
                Step::Check,
                Problem::Project { what, hint: format!("it has {}", known.join(", ")) },
            ));
        }
    }
    Ok(())
}

fn needs_exist(app: &App, manifests: &Manifests) -> Result<(), Failure> {
    let known = workloads(manifests);
    for need in app.project.migrate.iter().flat_map(|migrate| &migrate.needs) {
        if !known.contains(need) {
            let what =
                format!("`migrate.needs` names `{need}`, and no workload of the manifests is called so");
            return Err(Failure::at(
                Step::Check,
                Problem::Project { what, hint: format!("there are {}", known.join(", ")) },
            ));
        }
    }
    Ok(())
}

fn workloads(manifests: &Manifests) -> Vec<String> {
    let named = |object: &skep_manifest::Object| object.key().map(|key| key.name);
    let mut names: Vec<String> = manifests
        .objects
        .iter()
        .filter(|object| skep_manifest::is_workload(&object.value))
        .filter_map(named)
        .collect();
    names.sort();
    names
}

/// A bare name such as `api` is either a key of `images` or a mistake: on Docker Hub it would be somebody else's.
fn images_are_built(app: &App, manifests: &Manifests) -> Result<(), Failure> {
    let ours = app.our_images().in_step(Step::Check)?;
    for used in manifests.image_uses() {
        if skep_manifest::owner(&used.text, &ours) == Owner::Unclear {
            let names = ours.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let use_one = if names.is_empty() { String::new() } else { format!("use one of {names}, ") };
            let message = format!("nobody builds image `{}`", used.text);
            let hint = format!(
                "add it to `images` in skep.yaml, {use_one}or write a full reference such as docker.io/library/redis:7"
            );
            return Err(Failure::at(
                Step::Check,
                ManifestError::unusable(&used.place, &used.object.to_string(), &message, &hint),
            ));
        }
    }
    Ok(())
}
