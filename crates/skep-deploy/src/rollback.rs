//! `skep rollback`: an earlier release's contents under a new number. It never migrates.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use skep_cluster::Force;
use skep_manifest::Versions;
use skep_model::{Event, ObjectKey, Outcome, ReasonForRelease, Release, ReleaseStatus, Step};

use crate::{
    App, Done, Failure, bounds, cause,
    deploy::{retried, settle, ship},
    desired::{Desired, Secrets},
    error::{InStep, Problem},
    plan,
    steps::{self, Clock, images},
};

/// What is put back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RollbackRequest {
    /// Where to.
    pub to: RollbackTo,
    /// Only these services; all when empty.
    pub services: Vec<String>,
    /// Objects that may be deleted and made anew, as `Kind/name`.
    pub recreate: Vec<String>,
}

/// Where a rollback goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RollbackTo {
    /// The last good release before what runs now.
    #[default]
    LastGood,
    /// A release.
    Release(u64),
    /// The release of a commit; where none is kept, the images that carry this tag, with what else runs now.
    Tag(String),
}

/// Puts a release back: images, config, secrets and manifests.
///
/// # Errors
/// When there is no such release, when its images or secrets are gone, and as `deploy`.
pub async fn rollback(app: &App, request: &RollbackRequest) -> Result<Done, Failure> {
    retried(app, || rollback_once(app, request)).await
}

async fn rollback_once(app: &App, request: &RollbackRequest) -> Result<Done, Failure> {
    let mut clock = Clock::new(&app.emit);
    clock.start(Step::Plan);
    let planned = prepare(app, request).await;
    let (plan, reason) =
        clock.settle(Step::Plan, planned, |(_, reason)| (Outcome::Done, reason.to_string()))?;
    plan.announce(app);
    if plan.is_empty() {
        if !plan.is_settled() {
            settle(app, &plan, &mut clock).await?;
        }
        return Ok(Done { release: None, plan });
    }
    ship(app, plan, reason, clock).await
}

async fn prepare(app: &App, request: &RollbackRequest) -> Result<(plan::Plan, ReasonForRelease), Failure> {
    let releases = app.releases().all().await.in_step(Step::Plan)?;
    app.warn_of_unreadable(&releases);
    match &request.to {
        RollbackTo::Release(number) if request.services.is_empty() => releases.readable(*number),
        // What runs now decides the rest.
        _ => releases.readable_since(releases.newest()),
    }
    .in_step(Step::Plan)?;
    are_services(&releases, &request.services)?;
    let services = request.services.clone();
    let (mut contents, reason) = match choose(&releases, request)? {
        Chosen::Release(target) => {
            (target.clone(), ReasonForRelease::Rollback { to: target.number, services })
        }
        Chosen::Images { of, tag } => {
            (with_images(app, of, tag).await?, ReasonForRelease::Images { tag: tag.to_owned() })
        }
    };
    if !request.services.is_empty() {
        let current = what_runs(&releases).ok_or_else(nothing_to_go_back_to)?;
        contents = narrowed(app, current, &contents, &request.services)?;
    }
    images::are_there(app, &contents.images, &format!("v{}", contents.number)).await?;
    let mut desired = recorded(app, &contents, &releases).await?;
    desired.recreate.clone_from(&request.recreate);
    let plan = plan::against_live(app, desired, None, &releases, Force::Yes, &reason.to_string()).await?;
    bounds::check(app, &plan, &steps::load::keys(app)).await?;
    Ok((plan, reason))
}

/// A release as it was, with its secrets; tells which migrations stay.
pub(crate) async fn recorded(
    app: &App,
    contents: &Release,
    releases: &[Release],
) -> Result<Desired, Failure> {
    let mut desired = Desired::recorded(contents, None);
    desired.secrets = secrets(app, contents).await?;
    let current = releases.last().map_or(0, |release| release.number);
    tell_migrations(app, releases, contents, current);
    Ok(desired)
}

/// Services are those of the newest release.
fn are_services(releases: &[Release], services: &[String]) -> Result<(), Failure> {
    let of_the_app: Vec<&str> = releases
        .last()
        .iter()
        .flat_map(|release| &release.objects)
        .filter(|object| skep_manifest::is_workload(object))
        .filter_map(|object| object["metadata"]["name"].as_str())
        .collect();
    match services.iter().find(|service| !of_the_app.contains(&service.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let what = format!("there is no service {unknown}: the app has {}", of_the_app.join(", "));
            Err(refused(what, "name one of these"))
        }
    }
}

/// What a request comes to.
enum Chosen<'r> {
    Release(&'r Release),
    Images { of: &'r Release, tag: &'r str },
}

fn choose<'r>(releases: &'r [Release], request: &'r RollbackRequest) -> Result<Chosen<'r>, Failure> {
    match &request.to {
        RollbackTo::LastGood => {
            earlier(releases, &request.services).map(Chosen::Release).ok_or_else(nothing_to_go_back_to)
        }
        RollbackTo::Release(number) => match releases.iter().find(|release| release.number == *number) {
            Some(release) if is_good(release) => Ok(Chosen::Release(release)),
            Some(release) => Err(refused(
                format!("release v{number} is {}, not deployed", release.status),
                "`skep history` shows which were good",
            )),
            None => {
                Err(refused(format!("there is no release v{number}"), "`skep history` shows which are kept"))
            }
        },
        RollbackTo::Tag(tag) => {
            let good = || releases.iter().filter(|release| is_good(release));
            let is = |commit: &str| commit.starts_with(tag.as_str()) || tag.starts_with(commit);
            let clean = |release: &&Release| {
                let clean = |commit: &str| !commit.ends_with("-dirty") && is(commit);
                release.commit.as_deref().is_some_and(clean)
                    || release.commits.values().any(|commit| clean(commit))
            };
            let dirty = |release: &&Release| {
                release.commit.as_deref().and_then(|commit| commit.strip_suffix("-dirty")).is_some_and(is)
            };
            let shipped = good().rfind(clean).or_else(|| good().rfind(dirty));
            match (shipped, last_good(releases)) {
                (Some(release), _) => Ok(Chosen::Release(release)),
                (None, Some(of)) => Ok(Chosen::Images { of, tag }),
                (None, None) => Err(nothing_to_go_back_to()),
            }
        }
    }
}

fn refused(what: String, hint: &str) -> Failure {
    Failure::at(Step::Plan, Problem::Project { what, hint: hint.to_owned() })
}

fn nothing_to_go_back_to() -> Failure {
    refused(
        "there is no earlier good release to go back to".to_owned(),
        "`skep history` shows which are kept",
    )
}

fn is_good(release: &Release) -> bool {
    release.status == ReleaseStatus::Deployed
}

fn last_good(releases: &[Release]) -> Option<&Release> {
    releases.iter().rfind(|release| is_good(release))
}

/// The newest release whose objects were written, however it ended.
fn what_runs(releases: &[Release]) -> Option<&Release> {
    let was_applied = |release: &&Release| {
        is_good(release) || release.timings.iter().any(|timing| timing.step == Step::Apply)
    };
    releases.iter().rfind(was_applied)
}

/// The release before the one that runs, by contents: a rollback runs what it went back to, so the next one goes further back, and
/// one that did not end well is gone on with. For single services it is the last one that had another of them.
fn earlier<'r>(releases: &'r [Release], services: &[String]) -> Option<&'r Release> {
    let newest = releases.last()?;
    let went_back_to = match &newest.reason {
        ReasonForRelease::Rollback { to, services: went } => {
            let all_went =
                went.is_empty() || !services.is_empty() && services.iter().all(|one| went.contains(one));
            Some(*to).filter(|_| all_went)
        }
        ReasonForRelease::Restore { to, .. } => Some(*to),
        _ => None,
    };
    if !is_good(newest) {
        let unfinished = went_back_to.and_then(|to| releases.iter().find(|release| release.number == to));
        return unfinished.or_else(|| last_good(releases));
    }
    let runs = went_back_to.unwrap_or(newest.number);
    let contents = |release: &Release| -> (Vec<Value>, BTreeMap<String, String>) {
        let counts = |object: &&Value| services.is_empty() || is_one_of(object, services);
        let objects = release.objects.iter().filter(counts).cloned().map(cause::without).collect();
        (objects, if services.is_empty() { release.secrets.clone() } else { BTreeMap::new() })
    };
    let now = contents(newest);
    releases.iter().rfind(|release| release.number < runs && is_good(release) && contents(release) != now)
}

fn is_one_of(object: &Value, services: &[String]) -> bool {
    skep_manifest::is_workload(object)
        && object["metadata"]["name"].as_str().is_some_and(|name| services.iter().any(|one| one == name))
}

/// What runs, with other images of ours.
async fn with_images(app: &App, of: &Release, tag: &str) -> Result<Release, Failure> {
    let found = images::tagged(app, of.images.keys(), tag).await?;
    let mut contents = of.clone();
    let mut references = BTreeMap::new();
    for (name, digest) in &found {
        let repository = app.repository(name).in_step(Step::Plan)?;
        if let Some(old) = of.images.get(name) {
            references.insert(repository.pinned(*old).to_string(), repository.pinned(*digest).to_string());
        }
    }
    for object in &mut contents.objects {
        skep_manifest::pin(object, &references);
    }
    contents.images = found;
    Ok(contents)
}

/// What runs, with these services as `target` had them, and the config that they read there.
fn narrowed(app: &App, current: &Release, target: &Release, services: &[String]) -> Result<Release, Failure> {
    let mut contents = Release { number: target.number, ..current.clone() };
    for service in services {
        let one = std::slice::from_ref(service);
        let (Some(there), Some(here)) = (
            target.objects.iter().find(|object| is_one_of(object, one)),
            contents.objects.iter_mut().find(|object| is_one_of(object, one)),
        ) else {
            let hint = "name a service that both releases have; `skep status` lists them";
            return Err(refused(
                format!("v{} and what runs don't both have a service {service}", target.number),
                hint,
            ));
        };
        here.clone_from(there);
        let text = there.to_string();
        for (name, digest) in &target.images {
            let pinned = app.repository(name).in_step(Step::Plan)?.pinned(*digest).to_string();
            if text.contains(&pinned) {
                contents.images.insert(name.clone(), *digest);
            }
        }
        let named = skep_manifest::config_references(there);
        let is_named = |kind: &str, name: &str| {
            named.iter().any(|one| one.kind == kind && one.name == name)
                || kind == "Secret" && skep_manifest::values_in(there) == Some(name)
        };
        for object in &target.objects {
            let key = ObjectKey::of(object).filter(|key| is_named(&key.kind, &key.name));
            if key.is_some_and(|key| {
                !contents.objects.iter().any(|have| ObjectKey::of(have).as_ref() == Some(&key))
            }) {
                contents.objects.push(object.clone());
            }
        }
        contents
            .inventory
            .extend(target.inventory.iter().filter(|key| is_named(&key.kind, &key.name)).cloned());
    }
    Ok(contents)
}

/// The plain copies of the release's Secrets, made from its versions, which must still be there. A Secret that the app doesn't
/// manage is no part of the release: pods that need it and lack it are reported by the rollout.
async fn secrets(app: &App, release: &Release) -> Result<Secrets, Failure> {
    let versions = Versions::of_release(release);
    let named = release.objects.iter().flat_map(skep_manifest::config_references);
    let mut names: BTreeSet<String> = named
        .filter(|reference| versions.plain_name(reference.kind, &reference.name).is_some())
        .filter(|reference| reference.kind == "Secret")
        .map(|reference| reference.name)
        .collect();
    names.extend(release.secrets.values().cloned());
    let mut copies = Vec::new();
    for name in names {
        let key = ObjectKey {
            kind: "Secret".to_owned(),
            namespace: Some(app.namespace().to_owned()),
            name,
            api_version: "v1".to_owned(),
        };
        match app.cluster.get(&key).await.in_step(Step::Plan)? {
            Some(found) if release.secrets.values().any(|version| *version == key.name) => {
                copies.extend(skep_manifest::copy_of_version(&found));
            }
            Some(_) => {}
            None => return Err(gone(&key, release)),
        }
    }
    Ok(Secrets(copies))
}

fn gone(key: &ObjectKey, release: &Release) -> Failure {
    let what = format!("can't roll back to v{}: {key}, a version of its config, was deleted", release.number);
    Failure::at(
        Step::Plan,
        Problem::Project {
            what,
            hint: "check out the commit of that release and run `skep deploy`".to_owned(),
        },
    )
}

/// Migrations are never undone; the user is told which have run since.
fn tell_migrations(app: &App, releases: &[Release], target: &Release, current: u64) {
    let job = |release: &Release| {
        release.inventory.iter().find(|key| key.kind == "Job").map(|key| key.name.clone())
    };
    let then = job(target);
    let now = releases.iter().rfind(|release| release.number <= current).and_then(job);
    if let Some(now) = now.filter(|now| Some(now) != then.as_ref()) {
        let message =
            format!("migrations stay: the schema is as {now} left it, and v{} runs on it", target.number);
        app.emit.emit(Event::Warning { message });
    }
}
