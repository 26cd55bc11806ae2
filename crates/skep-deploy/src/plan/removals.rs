//! What a release deletes, and why. The plan names each object; the prune step deletes nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;
use skep_cluster::{Records, Route, Selector};
use skep_manifest::Versions;
use skep_model::{ObjectKey, Release, ReleaseStatus, Step};

use super::compare;
use crate::{App, Failure, desired::Desired, error::InStep};

/// An object that is deleted once the release is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Which.
    pub object: ObjectKey,
    /// Why.
    pub because: RemovalReason,
}

/// Why an object is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemovalReason {
    /// The project no longer has it.
    NoLongerIn {
        /// `k8s/side.yaml`, `skep.yaml`; `None` in the records of a Skep that did not keep it.
        source: Option<String>,
    },
    /// A rollback goes to a release that doesn't have it.
    NotPartOf {
        /// The release.
        release: u64,
    },
    /// A migration's Job, when the next one is due.
    ReplacedBy {
        /// The Job that is due.
        job: String,
    },
    /// A version of a ConfigMap or Secret that neither a kept release nor a pod refers to.
    Unused,
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLongerIn { source: Some(source) } => write!(f, "no longer in {source}"),
            Self::NoLongerIn { source: None } => f.write_str("no longer in the manifests"),
            Self::NotPartOf { release } => write!(f, "not part of v{release}"),
            Self::ReplacedBy { job } => write!(f, "replaced by Job/{job}"),
            Self::Unused => f.write_str("no kept release refers to it"),
        }
    }
}

impl Removal {
    /// Returns whether it follows from what the release contains; deleting an old version doesn't.
    pub(super) fn is_change(&self) -> bool {
        self.because != RemovalReason::Unused
    }
}

/// Returns whether Skep deletes objects of this kind: never data, a namespace, or a definition, whose objects would go with it.
pub(crate) fn may_remove(key: &ObjectKey) -> bool {
    !matches!(
        key.kind.as_str(),
        "PersistentVolumeClaim" | "PersistentVolume" | "Namespace" | "CustomResourceDefinition"
    )
}

/// What a release deletes, and the old versions that it would but for what still refers to them.
#[derive(Debug, Default)]
pub(super) struct Removals {
    pub(super) removals: Vec<Removal>,
    /// For the inventory: the records that know these versions may be the ones that are dropped.
    pub(super) still_in_use: Vec<ObjectKey>,
}

/// What earlier releases wrote, however they ended, that `desired` lacks and that is still the app's. Nothing while a record can't be
/// read: what it needs is unknown.
pub(super) async fn removals(app: &App, releases: &Records, desired: &Desired) -> Result<Removals, Failure> {
    if !releases.unreadable().is_empty() {
        return Ok(Removals::default());
    }
    let candidates = candidates(releases, desired, app.project.keep_releases);
    let in_use = match candidates.iter().all(Removal::is_change) {
        true => InUse::Unknown,
        false => InUse::read(app, Step::Plan).await?,
    };
    let (removals, still_in_use): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|removal| removal.is_change() || !in_use.contains(&removal.object));
    let keys = |removals: &[Removal]| removals.iter().map(|removal| removal.object.clone()).collect();
    let (there, still_in_use) =
        tokio::try_join!(compare::there(app, keys(&removals)), compare::there(app, keys(&still_in_use)))?;
    let is_there = |removal: &Removal| there.contains(&removal.object);
    Ok(Removals { removals: removals.into_iter().filter(is_there).collect(), still_in_use })
}

/// The pure part: by object, the newest release that wrote it says where it was written.
fn candidates(releases: &[Release], desired: &Desired, keep: usize) -> Vec<Removal> {
    let wanted: BTreeSet<ObjectKey> =
        desired.inventory().into_iter().chain(desired.skipped.clone()).collect();
    let is_wanted =
        |key: &ObjectKey| wanted.contains(key) || wanted.iter().any(|other| other.same_object(key));
    let oldest = oldest_kept(releases, keep);
    let kept: BTreeSet<&ObjectKey> = releases
        .iter()
        .filter(|release| release.number >= oldest)
        .flat_map(|release| &release.inventory)
        .collect();
    let due = desired.migration.as_ref().and_then(|job| job["metadata"]["name"].as_str());
    let mut found: BTreeMap<ObjectKey, RemovalReason> = BTreeMap::new();
    for release in releases.iter().rev() {
        let versions = Versions::of_release(release);
        let is_written = |key: &ObjectKey| {
            release.objects.iter().any(|object| ObjectKey::of(object).is_some_and(|one| one.same_object(key)))
        };
        for key in release.inventory.iter().filter(|key| may_remove(key) && !is_wanted(key)) {
            if found.keys().any(|known| known.same_object(key)) {
                continue;
            }
            let because = if versions.contains(key) {
                Some(RemovalReason::Unused).filter(|_| !kept.contains(key))
            } else if key.kind == "Job" && !is_written(key) {
                // Without a migration, the Job of the last one stays for its log.
                due.map(|job| RemovalReason::ReplacedBy { job: job.to_owned() })
            } else if let Some(release) = desired.release {
                Some(RemovalReason::NotPartOf { release })
            } else {
                let source = release.sources.get(&key.to_string()).cloned();
                Some(RemovalReason::NoLongerIn { source })
            };
            found.extend(because.map(|because| (key.clone(), because)));
        }
    }
    found.into_iter().map(|(object, because)| Removal { object, because }).collect()
}

/// The oldest release that stays once another one is deployed: `keep` deployed ones, and all that came between.
fn oldest_kept(releases: &[Release], keep: usize) -> u64 {
    let deployed = releases.iter().filter(|release| release.status == ReleaseStatus::Deployed);
    let mut numbers: Vec<u64> = deployed.map(|release| release.number).collect();
    numbers.push(releases.last().map_or(0, |release| release.number) + 1);
    match numbers.len().checked_sub(keep.max(1)) {
        Some(surplus) if surplus > 0 => numbers[surplus],
        _ => 0,
    }
}

/// Versions that something alive refers to: a ReplicaSet that is scaled to zero is what `kubectl rollout undo` goes back to.
#[derive(Debug)]
pub(crate) enum InUse {
    Known(BTreeSet<ObjectKey>),
    /// This login may not list them: no version is deleted.
    Unknown,
}

impl InUse {
    pub(crate) async fn read(app: &App, step: Step) -> Result<Self, Failure> {
        const KINDS: &[(&str, &str)] = &[
            ("apps/v1", "ReplicaSet"),
            ("apps/v1", "ControllerRevision"),
            ("v1", "Pod"),
            ("batch/v1", "Job"),
        ];
        let mut in_use = BTreeSet::new();
        let routes = KINDS.iter().filter_map(|(api_version, kind)| Route::built_in(api_version, kind));
        let lists = routes.map(|route| async move {
            app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await
        });
        for list in futures::future::join_all(lists).await {
            let objects = match list {
                Err(error) if error.is_forbidden() => return Ok(Self::Unknown),
                list => list.in_step(step)?,
            };
            in_use.extend(objects.iter().flat_map(|object| named_by(object, app.namespace())));
        }
        Ok(Self::Known(in_use))
    }

    pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
        match self {
            Self::Known(in_use) => in_use.contains(key),
            Self::Unknown => true,
        }
    }
}

fn named_by(object: &Value, namespace: &str) -> Vec<ObjectKey> {
    let named = skep_manifest::config_references(object);
    let key = |reference: skep_manifest::ConfigReference| ObjectKey {
        kind: reference.kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: reference.name,
        api_version: "v1".to_owned(),
    };
    named.into_iter().map(key).collect()
}
