//! Names: every image has somebody who builds it, every name that skep.yaml or a manifest uses is there.

use skep_manifest::{ConfigReference, Owner};
use skep_model::Check;

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
    let run = app.project.verify.iter().filter_map(|check| match check {
        Check::Run(check) => Some(&check.service),
        Check::Url(_) => None,
    });
    found.extend(run.filter_map(|service| named("verify", service, "`verify` runs a command in")));
    found.extend(sets(app, manifests));
    found.extend(backends(manifests));
    found.extend(app.project.replicas.keys().filter_map(|name| named("replicas", name, "`replicas` names")));
    found
}

/// ConfigMaps and Secrets that pods read and nobody here makes: they must be in the namespace already.
fn sets(app: &App, manifests: &Manifests) -> Vec<Finding> {
    let made = |reference: &ConfigReference| {
        let ours = match reference.kind {
            "Secret" => app.project.secrets.contains_key(&reference.name),
            _ => app.project.config.contains_key(&reference.name),
        };
        ours || manifests.objects.iter().any(|object| {
            object.value["kind"] == reference.kind
                && object.value["metadata"]["name"] == reference.name.as_str()
        })
    };
    let mut found = Vec::new();
    for object in manifests.objects.iter().chain(&manifests.migration) {
        let mut missing: Vec<ConfigReference> = skep_manifest::config_references(&object.value);
        missing.retain(|reference| !reference.optional && !made(reference));
        for ConfigReference { kind, name, .. } in missing {
            let section = if kind == "Secret" { "secrets" } else { "config" };
            let what = format!(
                "{} reads the {kind} {name}, which neither the manifests nor skep.yaml make",
                object.name()
            );
            let hint = format!(
                "add `{section}: {{ {name}: … }}` to skep.yaml, unless it is in the namespace already"
            );
            found.push(Finding::new(Severity::Warning, object.origin.to_string(), what, hint));
        }
    }
    found
}

/// Services that an Ingress sends traffic to.
fn backends(manifests: &Manifests) -> Vec<Finding> {
    let named = |kind: &str| -> Vec<&str> {
        let of_kind = manifests.objects.iter().filter(|object| object.value["kind"] == kind);
        of_kind.filter_map(|object| object.value["metadata"]["name"].as_str()).collect()
    };
    let services = named("Service");
    let mut found = Vec::new();
    for ingress in manifests.objects.iter().filter(|object| object.value["kind"] == "Ingress") {
        let rules = ingress.value["spec"]["rules"].as_array().into_iter().flatten();
        let paths = rules.flat_map(|rule| rule["http"]["paths"].as_array().into_iter().flatten());
        for name in paths.filter_map(|path| path["backend"]["service"]["name"].as_str()) {
            if !services.contains(&name) {
                let what = format!(
                    "{} sends traffic to the Service {name}, which the manifests don't have",
                    ingress.name()
                );
                let hint = "correct the name, or add the Service";
                found.push(Finding::new(Severity::Warning, ingress.origin.to_string(), what, hint));
            }
        }
    }
    found
}
