//! Names: every image has somebody who builds it, every name that skep.yaml uses is there.

use skep_manifest::Owner;

use super::{Finding, Severity};
use crate::{App, steps::load::Manifests};

pub(super) fn findings(app: &App, manifests: &Manifests) -> Vec<Finding> {
    let ours = app.our_images().unwrap_or_default();
    let names = ours.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let use_one = if names.is_empty() { String::new() } else { format!("use one of {names}, ") };
    // A bare name such as `api` is either a key of `images` or a mistake: on Docker Hub it would be somebody else's.
    let unclear = manifests
        .image_uses()
        .into_iter()
        .filter(|used| skep_manifest::owner(&used.text, &ours) == Owner::Unclear);
    let mut found: Vec<Finding> = unclear
        .map(|used| {
            let what = format!("{}: nobody builds image `{}`", used.object, used.text);
            let hint = format!(
                "add it to `images` in skep.yaml, {use_one}or write a full reference such as docker.io/library/redis:7"
            );
            Finding::new(Severity::Error, used.place.to_string(), what, hint)
        })
        .collect();
    let workloads = super::manifests::workload_names(manifests);
    let named = |key: &str, name: &String, what: &str| {
        (!workloads.contains(name)).then(|| {
            let what = format!("{what} `{name}`, and no workload of the manifests is called so");
            let hint = format!("there are {}", workloads.join(", "));
            Finding::new(Severity::Error, key, what, hint)
        })
    };
    let needs = app.project.migrate.iter().flat_map(|migrate| &migrate.needs);
    found.extend(needs.filter_map(|need| named("migrate/needs", need, "`migrate.needs` names")));
    found.extend(app.project.replicas.keys().filter_map(|name| named("replicas", name, "`replicas` names")));
    found
}
