//! Adopting an app that kubectl shipped: what kubectl wrote becomes the app's, and what ran before is kept as release 0, so
//! that the first deploy can be taken back like any other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use skep_cluster::{Force, MANAGER, RecordError, Route, Selector};
use skep_manifest::{ConfigReference, Salt, config_references, is_workload};
use skep_model::{Digest, ImageRef, ObjectKey, ReasonForRelease, Release, ReleaseStatus, Step};

use crate::{App, Failure, Plan, error::InStep, steps::images::keeping_tag};

/// How often an object that is changed by its controllers meanwhile is read again.
const TRIES: u32 = 10;

/// An object that kubectl wrote and nobody owns yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    /// Which.
    pub object: ObjectKey,
    /// The names under which kubectl wrote it.
    pub managers: Vec<String>,
    pub(crate) live: Value,
}

/// What ran before the first release.
#[derive(Clone)]
pub(crate) struct Origin {
    release: Release,
    /// Versions of the config that it ran with, which a rollback needs.
    versions: Vec<Value>,
}

/// Names only: its versions hold secrets.
impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin({} objects)", self.release.objects.len())
    }
}

/// Makes Skep's what an apply is to change or remove: kubectl's fields, and the parameters of an update strategy that nobody owns. The
/// object may be changed by its controllers in the middle of that: then it is read again.
pub(crate) async fn take_over(app: &App, plan: &Plan, objects: &[Value], step: Step) -> Result<(), Failure> {
    for key in objects.iter().filter_map(ObjectKey::of).filter(|key| plan.takes_over(key)) {
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(live) = app.cluster.get(&key).await.in_step(step)? else { break };
            let mut fields = skep_manifest::managed_fields(&live);
            if !skep_manifest::adoptable_from(&live).is_empty() {
                fields = skep_manifest::adopted_fields(&live, MANAGER);
            }
            if plan.leaves_parameters(&key) {
                fields = skep_manifest::with_owned_strategy(&fields, &live, MANAGER);
            }
            if fields == skep_manifest::managed_fields(&live) {
                break;
            }
            match app.cluster.replace_managed_fields(&key, &live, fields).await {
                Err(error) if error.is_conflict() && tries < TRIES => {}
                written => {
                    written.in_step(step)?;
                    break;
                }
            }
        }
    }
    Ok(())
}

impl Origin {
    /// Reads what runs: the adopted objects as people wrote them, each image as the bytes that its pods run, and a version of
    /// each ConfigMap and Secret that they read.
    pub(crate) async fn read(app: &App, adoptions: &[Adoption], salt: &Salt) -> Result<Self, Failure> {
        let mut objects: Vec<Value> =
            adoptions.iter().map(|adoption| skep_manifest::as_written(&adoption.live)).collect();
        let is_set = |object: &Value| matches!(object["kind"].as_str(), Some("ConfigMap" | "Secret"));
        let ours: BTreeSet<ObjectKey> = objects.iter().filter_map(ObjectKey::of).collect();
        objects.retain(|object| !is_set(object));
        let images = pin_what_runs(app, &mut objects).await?;
        objects.extend(sets(app, &objects, &ours).await?);
        for object in &mut objects {
            skep_manifest::label(object, app.project.app.as_str());
        }
        let (mut objects, sets) =
            skep_manifest::split_config(app.project.app.as_str(), objects, salt, &BTreeMap::new());
        // A set that is not versioned is one of the objects where it is the app's.
        objects.retain(|object| {
            !is_set(object)
                || object["kind"] == "ConfigMap"
                    && ObjectKey::of(object).is_some_and(|key| ours.contains(&key))
        });
        skep_manifest::version(&mut objects, &sets);
        let versions: Vec<Value> = sets.iter().map(|set| set.version.clone()).collect();
        let is_our_secret = |set: &&skep_manifest::Versioned| {
            set.kind == "Secret" && ObjectKey::of(&set.copy).is_some_and(|key| ours.contains(&key))
        };
        let secrets =
            sets.iter().filter(is_our_secret).map(|set| (set.plain_name.clone(), set.name.clone())).collect();
        for set in sets.into_iter().filter(|set| set.kind == "ConfigMap") {
            // A copy is put back where the app has one: other plain ConfigMaps are not the app's.
            let is_ours = ObjectKey::of(&set.copy).is_some_and(|key| ours.contains(&key));
            objects.push(set.version);
            objects.extend(is_ours.then_some(set.copy));
        }
        let inventory = skep_manifest::inventory(objects.iter().chain(&versions));
        let now = skep_ambient::now();
        let release = Release {
            format: Release::FORMAT,
            app: app.project.app.to_string(),
            number: 0,
            status: ReleaseStatus::Deployed,
            reason: ReasonForRelease::Adopted,
            created: now,
            closed: Some(now),
            by: format!("{}@{}", app.author.holder.user, app.author.holder.host),
            commit: None,
            commits: BTreeMap::new(),
            images,
            third_party: BTreeMap::new(),
            objects,
            secrets,
            inventory,
            sources: BTreeMap::new(),
            removed: Vec::new(),
            verify: None,
            timings: Vec::new(),
            pods: Vec::new(),
            failure: None,
        };
        Ok(Self { release, versions })
    }

    /// Keeps it, before anything is changed. `keys` holds the salt that its Secrets are named with.
    pub(crate) async fn keep(&self, app: &App, keys: Option<&Value>) -> Result<(), Failure> {
        if let Some(keys) = keys {
            app.cluster.apply(keys, Force::Yes).await.in_step(Step::Lock)?;
        }
        app.cluster.apply_all(&self.versions, Force::No).await.in_step(Step::Lock)?;
        for (name, digest) in &self.release.images {
            let image = app.repository(name).in_step(Step::Lock)?.pinned(*digest);
            // A registry that refuses a tag keeps the image for now: no reason to stop.
            let _ = app.images.tag(&image, &keeping_tag(digest)).await;
        }
        match app.releases().open(&self.release).await {
            Ok(()) | Err(RecordError::Taken(_)) => Ok(()),
            Err(error) => Err(Failure::at(Step::Lock, error)),
        }
    }
}

/// Every ConfigMap and Secret that the workloads read or that is adopted, whole, whoever wrote it.
async fn sets(app: &App, objects: &[Value], adopted: &BTreeSet<ObjectKey>) -> Result<Vec<Value>, Failure> {
    let key = |reference: ConfigReference| ObjectKey {
        kind: reference.kind.to_owned(),
        namespace: Some(app.namespace().to_owned()),
        name: reference.name,
        api_version: "v1".to_owned(),
    };
    let mut keys: BTreeSet<ObjectKey> = objects.iter().flat_map(config_references).map(key).collect();
    keys.extend(adopted.iter().filter(|key| matches!(key.kind.as_str(), "ConfigMap" | "Secret")).cloned());
    let mut sets = Vec::new();
    for key in keys {
        // A set that is missing is optional, or nothing that reads it ran.
        let Some(live) = app.cluster.get(&key).await.in_step(Step::Plan)? else { continue };
        let mut set = json!({
            "apiVersion": "v1", "kind": key.kind, "metadata": {"name": key.name, "namespace": key.namespace},
        });
        for field in ["type", "data", "binaryData"] {
            if let Some(value) = live.get(field) {
                set[field] = value.clone();
            }
        }
        sets.push(set);
    }
    Ok(sets)
}

/// Writes the digests that pods run into the workloads' images, where the registry still has them; a tag may have been
/// overwritten since. Returns those of our images.
async fn pin_what_runs(app: &App, objects: &mut [Value]) -> Result<BTreeMap<String, Digest>, Failure> {
    let running = running(app).await?;
    let names = app.our_images().in_step(Step::Plan)?;
    let (mut references, mut ours) = (BTreeMap::new(), BTreeMap::new());
    for (text, digest) in running {
        let Ok(image) = text.parse::<ImageRef>() else { continue };
        let pinned = image.pinned(digest);
        if !matches!(app.images.has_manifest(&pinned).await, Ok(Some(_))) {
            continue;
        }
        if let skep_manifest::Owner::Ours(name) = skep_manifest::owner(&text, &names) {
            ours.insert(name, digest);
        }
        references.insert(text, pinned.to_string());
    }
    for object in objects.iter_mut().filter(|object| is_workload(object)) {
        skep_manifest::pin(object, &references);
    }
    Ok(ours)
}

/// The image texts of running containers, each with the digest of what runs.
async fn running(app: &App) -> Result<BTreeMap<String, Digest>, Failure> {
    let Some(route) = Route::built_in("v1", "Pod") else { return Ok(BTreeMap::new()) };
    let pods =
        app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await.in_step(Step::Plan)?;
    let mut running = BTreeMap::new();
    for pod in &pods {
        let status = |name: &Value| {
            let mut statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            statuses.find(|status| &status["name"] == name).cloned()
        };
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let id = status(&container["name"]).map(|status| status["imageID"].clone()).unwrap_or_default();
            let digest =
                id.as_str().and_then(|id| id.rsplit('@').next()).and_then(|digest| digest.parse().ok());
            if let (Some(text), Some(digest)) = (container["image"].as_str(), digest) {
                running.insert(text.to_owned(), digest);
            }
        }
    }
    Ok(running)
}
