//! plan: desired against live. What would be written is rehearsed by the API itself (a dry run), so defaults, canonical forms
//! and admission are the cluster's own, and what it would refuse is known before anything moves.

mod change;
mod compare;
mod drift;
mod removals;
mod saved;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use skep_cluster::{FieldConflict, Force, Records};
use skep_manifest::{Versions, is_workload, owner_of};
use skep_model::{Check, Event, ObjectKey, Outcome, Release, ReleaseStatus, Step};
use skep_rollout::workload::{Counts, JobState};

use crate::{
    App, DeployRequest, Failure,
    adopt::{Adoption, Origin},
    cause,
    desired::Desired,
    error::{InStep, Problem},
    keys::Keys,
    pull_secrets::PullSecrets,
    steps::{Clock, images::ImageDigests, load::Manifests},
    traffic,
    values::Substituted,
};

pub use change::{Change, Restart, Verb};
pub use drift::{Drift, Drifted};
pub(crate) use removals::InUse;
use removals::Removals;
pub use removals::{Removal, RemovalReason};
pub use saved::SavedPlan;

/// What a release will do.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) desired: Desired,
    pub(crate) keys: Option<Value>,
    /// Written beside the release, and whether there is one or not.
    pub(crate) pull_secrets: PullSecrets,
    pub(crate) force: Force,
    /// The newest record's number, 0 for none: if there is a newer one at the lock, this plan is stale.
    pub(crate) newest_release: u64,
    /// Number of the last release, when it is good.
    good: Option<u64>,
    /// The commit of the last good release, without `-dirty`.
    pub(crate) last_commit: Option<String>,
    changes: Vec<Change>,
    adoptions: Vec<Adoption>,
    /// What ran before the first release, when something did.
    pub(crate) origin: Option<Origin>,
    drift: Vec<Drift>,
    contested: Vec<(ObjectKey, Vec<FieldConflict>)>,
    /// Objects whose leftover update parameters must be owned before they can be applied.
    strategies: Vec<ObjectKey>,
    removals: Vec<Removal>,
    migration_is_due: bool,
    images_changed: bool,
    /// Every workload is as wanted, by its controller's own word.
    settled: bool,
    /// Workloads that somebody paused: who, and whether new pods would be wanted.
    paused: Vec<Paused>,
    /// Objects that may be written; all when `None`.
    only: Option<BTreeSet<ObjectKey>>,
}

/// A workload whose changes wait.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Paused {
    object: ObjectKey,
    by: String,
    restarts: bool,
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be looked at.
    Show,
    /// To be carried out: fields that others own are an error.
    Ship,
}

/// Plans, however the desired state came to be.
impl Plan {
    /// Nothing would change, and the last release is good.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.contested.is_empty()
            && !self.removals.iter().any(Removal::is_change)
            && !self.migration_is_due
            && !self.images_changed
            && self.good.is_some()
    }

    /// Whether there is anything to tell of: what a deploy would do, with a release or without, or what was changed by hand.
    pub fn has_changes(&self) -> bool {
        !self.is_empty() || !self.drift.is_empty() || self.pull_secrets.names().next().is_some()
    }

    /// Whether every workload is as wanted: an empty plan of an app that is down is no success.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// What will be written, in the order of kinds and names.
    pub fn changed(&self) -> &[Change] {
        &self.changes
    }

    /// What kubectl wrote before Skep came, and what becomes the app's.
    pub fn adoptions(&self) -> &[Adoption] {
        &self.adoptions
    }

    pub(crate) fn adopts(&self, key: &ObjectKey) -> bool {
        self.adoptions.iter().any(|adoption| adoption.object.same_object(key))
    }

    /// Returns whether an object must be prepared before the apply: it is kubectl's, or has parameters that nobody owns.
    pub(crate) fn takes_over(&self, key: &ObjectKey) -> bool {
        self.adopts(key) || self.leaves_parameters(key)
    }

    pub(crate) fn leaves_parameters(&self, key: &ObjectKey) -> bool {
        self.strategies.iter().any(|object| object.same_object(key))
    }

    /// Before the first release, what runs is read, so that it can be kept.
    pub(super) async fn with_origin(
        mut self,
        app: &App,
        releases: &[Release],
        keys: &mut Keys,
    ) -> Result<Self, Failure> {
        if releases.is_empty() && self.adoptions.iter().any(|adoption| is_workload(&adoption.live)) {
            self.origin = Some(Origin::read(app, &self.adoptions, &keys.salt()).await?);
            self.keys = keys.to_write(app.project.app.as_str());
        }
        Ok(self)
    }

    /// What somebody changed by hand since the last release.
    pub fn drift(&self) -> &[Drift] {
        &self.drift
    }

    /// Whether others own fields that this plan would change: then it can't be carried out.
    pub fn is_contested(&self) -> bool {
        !self.contested.is_empty()
    }

    /// Whether the newest release did not end well, and this plan would end it well even with nothing else to do.
    pub fn completes(&self) -> bool {
        self.good.is_none() && self.newest_release > 0
    }

    /// Secrets that nodes pull with and that hold another login than the one at hand.
    pub fn pull_secrets(&self) -> Vec<&str> {
        self.pull_secrets.names().collect()
    }

    /// What will be deleted once the release is deployed, and nothing else is.
    pub fn removals(&self) -> &[Removal] {
        &self.removals
    }

    /// The migration's Job, when it will run.
    pub fn migration(&self) -> Option<&str> {
        let job = self.desired.migration.as_ref().filter(|_| self.migration_is_due)?;
        job["metadata"]["name"].as_str()
    }

    /// The number of the newest release, 0 for none.
    pub fn newest_release(&self) -> u64 {
        self.newest_release
    }

    /// Fields that others own are not taken silently.
    pub(crate) fn uncontested(self) -> Result<Self, Failure> {
        if self.contested.is_empty() {
            return Ok(self);
        }
        Err(Failure::at(Step::Plan, Problem::Contested(self.contested)))
    }

    /// New pods of a workload that is paused would never come.
    fn unpaused(self) -> Result<Self, Failure> {
        let Some(Paused { object, by, .. }) = self.paused.iter().find(|paused| paused.restarts) else {
            return Ok(self);
        };
        let what = format!("{object} is paused (by {by}): its new pods would not come");
        let hint = format!("`skep resume {}` first", object.name);
        Err(Failure::at(Step::Plan, Problem::Project { what, hint }))
    }

    /// Returns whether an object of the release is a version of a ConfigMap or Secret, which its plain copy stands for.
    pub fn is_version(&self, key: &ObjectKey) -> bool {
        Versions::of_objects(self.desired.all_objects()).contains(key)
    }

    /// Returns whether an object is a version of a ConfigMap or Secret, or the plain copy of one.
    pub(crate) fn is_config(&self, key: &ObjectKey) -> bool {
        let mut objects = self.desired.all_objects();
        objects.any(|object| {
            skep_manifest::is_version_or_copy(object)
                && ObjectKey::of(object).is_some_and(|one| one.same_object(key))
        })
    }

    /// The number of the last release, if it is good.
    pub fn last_release(&self) -> Option<u64> {
        self.good
    }

    /// Whether an object is deleted and made anew.
    pub(crate) fn recreates(&self, key: &ObjectKey) -> bool {
        self.changes.iter().any(|change| change.verb == Verb::Recreate && change.object.same_object(key))
    }

    pub(crate) fn changes(&self, object: &Value) -> bool {
        ObjectKey::of(object).is_some_and(|key| self.changes.iter().any(|change| change.object == key))
    }

    /// Leaves every other object as it lives.
    pub(crate) fn only(mut self, objects: BTreeSet<ObjectKey>) -> Self {
        self.changes.retain(|change| objects.iter().any(|key| key.same_object(&change.object)));
        self.only = Some(objects);
        self
    }

    /// What proves that it works: for a release that comes again, what it was asked then.
    pub(crate) fn checks<'p>(&'p self, app: &'p App) -> &'p [Check] {
        self.desired.verify.as_deref().unwrap_or(&app.project.verify)
    }

    pub(crate) fn may_write(&self, object: &Value) -> bool {
        self.only.as_ref().is_none_or(|only| {
            ObjectKey::of(object).is_some_and(|key| only.iter().any(|other| other.same_object(&key)))
        })
    }

    /// Announces which services will get new pods and what will be deleted, and why.
    pub(crate) fn announce(&self, app: &App) {
        for change in self.changes.iter().filter(|change| !change.restarts.is_empty()) {
            let because = change.restarts.iter().map(Restart::to_string).collect();
            app.emit.emit(Event::WillRestart { object: change.object.clone(), because });
        }
        if self.is_empty() {
            return;
        }
        for removal in &self.removals {
            let because = removal.because.to_string();
            app.emit.emit(Event::WillRemove { object: removal.object.clone(), because });
        }
    }

    fn summary(&self) -> (Outcome, String) {
        if self.is_empty() {
            return (Outcome::Unchanged, "nothing to do".to_owned());
        }
        let count = |verb| self.changes.iter().filter(|change| change.verb == verb).count();
        let parts = [
            (count(Verb::Create), "to create"),
            (count(Verb::Update), "to change"),
            (count(Verb::Recreate), "to make anew"),
            (self.removals.iter().filter(|removal| removal.is_change()).count(), "to remove"),
        ];
        let mut parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if self.migration_is_due {
            parts.push("a migration".to_owned());
        }
        if !self.contested.is_empty() {
            parts.push("changes made by hand".to_owned());
        }
        if parts.is_empty() {
            parts.push("the last deploy did not end well: it is completed".to_owned());
        }
        (Outcome::Done, parts.join(", "))
    }
}

/// What is kept of the app in its namespace: its keys, and what it has shipped.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) keys: Keys,
    pub(crate) releases: Records,
}

impl Known {
    pub(crate) async fn read(app: &App, step: Step) -> Result<Self, Failure> {
        let store = app.releases();
        let (keys, releases) = tokio::join!(Keys::read(app), store.all());
        let releases = releases.in_step(step)?;
        app.warn_of_unreadable(&releases);
        Ok(Self { keys: keys.in_step(step)?, releases })
    }

    /// The last release that went well.
    pub(crate) fn last_good(&self) -> Option<&Release> {
        self.releases.iter().rev().find(|release| release.status == ReleaseStatus::Deployed)
    }
}

/// Plans a deploy. `known` is there when something before has asked already: it costs a round trip.
pub(crate) async fn make(
    app: &App,
    request: &DeployRequest,
    manifests: &Manifests,
    images: &ImageDigests,
    known: Option<Known>,
    purpose: Purpose,
    clock: &mut Clock,
) -> Result<Plan, Failure> {
    clock.start(Step::Plan);
    let planned = plan_deploy(app, request, manifests, images, known).await;
    let planned = planned.and_then(|plan| match purpose {
        Purpose::Ship => plan.uncontested().and_then(Plan::unpaused),
        Purpose::Show => Ok(plan),
    });
    let plan = clock.settle(Step::Plan, planned, Plan::summary)?;
    plan.announce(app);
    Ok(plan)
}

async fn plan_deploy(
    app: &App,
    request: &DeployRequest,
    manifests: &Manifests,
    images: &ImageDigests,
    known: Option<Known>,
) -> Result<Plan, Failure> {
    let Known { mut keys, releases } = match known {
        Some(known) => known,
        None => Known::read(app, Step::Plan).await?,
    };
    keys.adopt(app).await.in_step(Step::Plan)?;
    let good = releases.iter().rev().find(|release| release.status == ReleaseStatus::Deployed);
    let mut desired = match good.filter(|_| request.config_only) {
        Some(last) => Desired::with_new_config(app, manifests, &mut keys, last),
        None => Desired::make(app, request, manifests, images, &mut keys, good).await?,
    };
    if images.tag.is_some() && went_before(&releases, &desired) {
        let message =
            "these images are older than what runs: no migration is run, the schema stays".to_owned();
        app.emit.emit(Event::Warning { message });
        desired.migration = None;
    }
    let plan = against_live(
        app,
        desired,
        keys.to_write(app.project.app.as_str()),
        &releases,
        Force::No,
        &app.cause(),
    )
    .await?;
    plan.with_origin(app, &releases, &mut keys).await
}

/// Whether an earlier release ran the images that are to come, and the last good one runs others.
fn went_before(releases: &[Release], desired: &Desired) -> bool {
    let mut good = releases.iter().rev().filter(|release| release.status == ReleaseStatus::Deployed);
    good.next().is_some_and(|last| last.images != desired.images)
        && good.any(|earlier| earlier.images == desired.images)
}

/// Compares a desired state with what is there.
pub(crate) async fn against_live(
    app: &App,
    mut desired: Desired,
    keys: Option<Value>,
    releases: &Records,
    force: Force,
    why: &str,
) -> Result<Plan, Failure> {
    let (live, pull_secrets, substituted) = tokio::join!(
        compare::live(app, &desired),
        PullSecrets::outdated(app, &desired),
        Substituted::read(app, &desired)
    );
    let (live, pull_secrets) = (live?, pull_secrets?);
    desired.substituted = substituted?;
    for (key, object) in &live {
        if let Some(other) = owner_of(object).filter(|other| *other != app.project.app.as_str()) {
            let what = format!("{key} in namespace {} belongs to another app, {other}", app.namespace());
            return Err(Failure::at(
                Step::Plan,
                Problem::Project { what, hint: "give this app a namespace of its own".to_owned() },
            ));
        }
    }
    refuse_to_remove_everything(releases, &desired)?;
    recreate_what_there_is(&mut desired)?;
    for message in desired.respect_live(&live) {
        app.emit.emit(Event::Warning { message });
    }
    for (key, there, wanted) in desired.respect_scaling(&live) {
        if there != wanted {
            let name = &key.name;
            let message = format!(
                "{key} keeps the {there} replicas that `skep scale` gave it; its manifest says {wanted} (`skep scale {name}=manifest` gives it back)"
            );
            app.emit.emit(Event::Warning { message });
        }
    }
    cause::keep(&mut desired.objects, &live);
    let last = releases.last();
    let compared = compare::with_live(app, &desired, &live, force, releases).await?;
    let restarted: Vec<&ObjectKey> = compared
        .changes
        .iter()
        .filter(|change| change.restarts_pods())
        .map(|change| &change.object)
        .collect();
    let paused = paused(&desired, &live, &restarted);
    for Paused { object, by, .. } in &paused {
        let message = format!("{object} is paused (by {by}); `skep resume {}` ends that", object.name);
        app.emit.emit(Event::Warning { message });
    }
    let number = releases.newest() + 1;
    cause::say(&mut desired.objects, &restarted, &format!("v{number}, {why}"));
    let settled = desired.workloads().all(|workload| {
        compare::live_of(&live, workload).and_then(Counts::read).is_none_or(|counts| counts.done())
    });
    let migration_is_due = match &desired.migration {
        Some(job) => compare::live_of(&live, job).map(JobState::read) != Some(JobState::Complete),
        None => false,
    };
    let good = last.filter(|release| release.status == ReleaseStatus::Deployed);
    let Removals { removals, still_in_use } = Box::pin(removals::removals(app, releases, &desired)).await?;
    desired.kept_config.extend(still_in_use);
    Ok(Plan {
        keys,
        pull_secrets,
        force,
        newest_release: releases.newest(),
        good: good.map(|release| release.number),
        last_commit: crate::history::commit_of_last_good(releases),
        images_changed: good.is_some_and(|release| release.images != desired.images),
        changes: compared.changes,
        adoptions: compared.adoptions,
        origin: None,
        drift: compared.drift,
        contested: compared.contested,
        strategies: compared.strategies,
        removals,
        migration_is_due,
        settled,
        paused,
        only: None,
        desired,
    })
}

/// Deployments that somebody paused and the release does not.
fn paused(desired: &Desired, live: &BTreeMap<ObjectKey, Value>, restarted: &[&ObjectKey]) -> Vec<Paused> {
    let paused = desired.workloads().filter(|workload| workload["spec"]["paused"] != true);
    let paused = paused.filter_map(|workload| {
        let live = compare::live_of(live, workload).filter(|live| live["spec"]["paused"] == true)?;
        let object = ObjectKey::of(workload)?;
        let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
        let mut writers = entries.filter(|entry| entry["fieldsV1"]["f:spec"]["f:paused"].is_object());
        let by = writers.next().and_then(|entry| entry["manager"].as_str()).unwrap_or("somebody").to_owned();
        let restarts = restarted.iter().any(|key| key.same_object(&object));
        Some(Paused { object, by, restarts })
    });
    paused.collect()
}

/// What is to be made anew are objects of the release; their kinds may be typed as kubectl takes them.
fn recreate_what_there_is(desired: &mut Desired) -> Result<(), Failure> {
    let names: Vec<String> =
        desired.all_objects().filter_map(ObjectKey::of).map(|key| key.to_string()).collect();
    for asked in &mut desired.recreate {
        let found = names.iter().find(|name| name.eq_ignore_ascii_case(asked)).cloned();
        *asked = found.ok_or_else(|| {
            let what = format!("there is no object `{asked}` to make anew");
            let hint = "write it as a plan does: KIND/NAME, such as Deployment/api".to_owned();
            Failure::at(Step::Plan, Problem::Project { what, hint })
        })?;
    }
    Ok(())
}

/// A manifests folder that is empty, or another one, must not take the whole app away.
fn refuse_to_remove_everything(releases: &[Release], desired: &Desired) -> Result<(), Failure> {
    let ran = releases.last().is_some_and(|last| last.objects.iter().any(is_workload));
    if ran && desired.workloads().next().is_none() {
        let what = "this would remove every service: the manifests hold no workload any more".to_owned();
        let hint = "check `manifests` in skep.yaml; to take the app away, delete its namespace with kubectl"
            .to_owned();
        return Err(Failure::at(Step::Plan, Problem::Project { what, hint }));
    }
    Ok(())
}

impl Plan {
    /// Where people reach the app: service and URL, from its Ingresses.
    pub fn urls(&self, app: &App) -> Vec<(String, String)> {
        let ingresses = self.desired.objects.iter().filter(|object| object["kind"] == "Ingress");
        ingresses.flat_map(|ingress| traffic::urls(ingress, app.ingress_port)).collect()
    }
}
