//! What a release is to be: every object as it will be applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};
use skep_cluster::{MANAGER, OPERATOR};
use skep_manifest::{ConfigReference, Object, Owner, Versioned, Versions, is_workload};
use skep_model::{Check, Digest, ObjectKey, Release, Step};

use crate::{
    App, DeployRequest, Failure,
    error::{InStep, Problem},
    keys::Keys,
    steps::{
        images::{self, ImageDigests},
        load::Manifests,
    },
    traffic::here,
    values::{self, Substituted},
};

/// The contents of a release.
#[derive(Debug, Clone, Default)]
pub(crate) struct Desired {
    /// Everything but Secrets: pinned, labelled, with references to versions.
    pub(crate) objects: Vec<Value>,
    /// Versions and plain copies. Applied, never recorded.
    pub(crate) secrets: Secrets,
    /// The migration's Job, named by its template.
    pub(crate) migration: Option<Value>,
    /// What a recorded release was verified by; the project's own checks count for all others.
    pub(crate) verify: Option<Vec<Check>>,
    /// Workloads that the migration needs.
    pub(crate) needs: Vec<String>,
    /// Secrets that are as an earlier release had them, by plain name: their versions.
    pub(crate) kept_secrets: BTreeMap<String, String>,
    /// Our images.
    pub(crate) images: BTreeMap<String, Digest>,
    /// Images of others, by the text of the manifests.
    pub(crate) third_party: BTreeMap<String, Digest>,
    /// Commit of the project.
    pub(crate) commit: Option<String>,
    /// Commits of our images' build contexts.
    pub(crate) commits: BTreeMap<String, String>,
    /// Where each object's manifest is; empty for a recorded release.
    pub(crate) places: BTreeMap<ObjectKey, String>,
    /// Where each object is written, by `Kind/name`, for the record.
    pub(crate) sources: BTreeMap<String, String>,
    /// The recorded release that these are the contents of; `None` for what the project has now.
    pub(crate) release: Option<u64>,
    /// Objects that may be deleted and made anew, as `Kind/name`.
    pub(crate) recreate: Vec<String>,
    /// Objects of files that were left out: nothing of them is removed.
    pub(crate) skipped: Vec<ObjectKey>,
    /// Keys of earlier releases' config that is still referred to.
    pub(crate) kept_config: Vec<ObjectKey>,
    /// What stands for placeholders, once it has been read: the objects themselves keep them.
    pub(crate) substituted: Substituted,
}

/// Secret objects; they never show in a log.
#[derive(Clone, Default)]
pub(crate) struct Secrets(pub(crate) Vec<Value>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Desired {
    /// From manifests, images, config and secrets. `last` is the last good release.
    pub(crate) async fn make(
        app: &App,
        request: &DeployRequest,
        manifests: &Manifests,
        images: &ImageDigests,
        keys: &mut Keys,
        last: Option<&Release>,
    ) -> Result<Self, Failure> {
        let project = &app.project;
        let pins = Pins::find(app, manifests, images, last).await?;
        let Split { mut objects, logins, mut sets } = split(app, manifests, keys);
        let mut migration = manifests.migration.as_ref().map(|job| pins.pin(job.clone()));
        migration.iter_mut().for_each(|job| name_values(&mut job.value, &sets, &Versions::default()));
        objects.iter_mut().for_each(|object| {
            skep_manifest::pin(object, &pins.references);
            let replicas = object["metadata"]["name"].as_str().and_then(|name| project.replicas.get(name));
            if let Some(replicas) = replicas.filter(|_| is_workload(object)) {
                object["spec"]["replicas"] = json!(replicas);
            }
        });
        skep_manifest::version(objects.iter_mut().chain(migration.as_mut().map(|job| &mut job.value)), &sets);
        let migration = match (&project.migrate, migration) {
            (Some(migrate), Some(job)) => Some(gate(app, &job, migrate.timeout)?),
            _ => None,
        };
        if !objects.iter().any(|object| object["kind"] == "Namespace") {
            objects.insert(
                0,
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": project.namespace}}),
            );
        }
        for object in &mut objects {
            skep_manifest::label(object, project.app.as_str());
            skep_manifest::name_service_account_twice(object);
        }
        let (secrets, config): (Vec<_>, Vec<_>) = sets.drain(..).partition(|set| set.kind == "Secret");
        objects.extend(config.into_iter().flat_map(|set| [set.version, set.copy]));
        let secrets = secrets.into_iter().flat_map(|set| [set.version, set.copy]).chain(logins);
        let mut desired = Self {
            objects,
            secrets: Secrets(secrets.collect()),
            migration,
            verify: None,
            needs: project.migrate.iter().flat_map(|migrate| migrate.needs.clone()).collect(),
            kept_secrets: BTreeMap::new(),
            images: pins.ours,
            third_party: pins.third_party,
            commit: app.author.commit.as_ref().map(ToString::to_string),
            commits: commits(images, last),
            places: manifests
                .objects
                .iter()
                .filter_map(|object| Some((object.key()?, object.origin.to_string())))
                .collect(),
            sources: sources(app, manifests),
            release: None,
            recreate: request.recreate.clone(),
            skipped: manifests.skipped.clone(),
            kept_config: Vec::new(),
            substituted: Substituted::default(),
        };
        if !request.services.is_empty() {
            desired.narrow_to(&request.services, last)?;
        }
        Ok(desired)
    }

    /// What the last release has, with the config and secrets that the project has now.
    pub(crate) fn with_new_config(app: &App, manifests: &Manifests, keys: &mut Keys, last: &Release) -> Self {
        let Split { sets, .. } = split(app, manifests, keys);
        let known = Versions::of_release(last);
        let mut desired = Self { verify: None, release: None, ..Self::recorded(last, None) };
        // Versions that a service reads and the project no longer has stay; the others are replaced.
        let is_replaced = |object: &Value| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let plain = known.plain_name("ConfigMap", name).unwrap_or(name);
            object["kind"] == "ConfigMap"
                && sets.iter().any(|set| set.kind == "ConfigMap" && set.plain_name == plain)
        };
        desired.objects.retain(|object| !is_replaced(object));
        skep_manifest::reversion(&mut desired.objects, &sets, &known);
        desired.objects.iter_mut().for_each(|object| name_values(object, &sets, &known));
        for set in sets {
            match set.kind {
                "Secret" => desired.secrets.0.extend([set.version, set.copy]),
                _ => desired.objects.extend([set.version, set.copy]),
            }
        }
        desired
    }

    /// From a recorded release. Secrets are in the cluster under the names that the objects refer to.
    pub(crate) fn recorded(release: &Release, commit: Option<String>) -> Self {
        let is_config = |key: &&ObjectKey| key.kind == "Secret";
        Self {
            objects: release.objects.clone(),
            kept_secrets: release.secrets.clone(),
            images: release.images.clone(),
            third_party: release.third_party.clone(),
            commit: release.commit.clone().or(commit),
            commits: release.commits.clone(),
            kept_config: release.inventory.iter().filter(is_config).cloned().collect(),
            sources: release.sources.clone(),
            release: Some(release.number),
            verify: release.verify.clone(),
            ..Self::default()
        }
    }

    /// Only these services change; whatever else the last release had stays as it had it.
    fn narrow_to(&mut self, services: &[String], last: Option<&Release>) -> Result<(), Failure> {
        let last = last.ok_or_else(|| {
            let what = format!("{} can't be deployed alone: nothing is deployed yet", services.join(", "));
            Failure::at(
                Step::Plan,
                Problem::Project { what, hint: "`skep deploy` ships everything once".to_owned() },
            )
        })?;
        let is_set = |key: &ObjectKey| matches!(key.kind.as_str(), "ConfigMap" | "Secret");
        let had = |key: &ObjectKey| {
            last.objects.iter().find(|old| ObjectKey::of(old).is_some_and(|old| old.same_object(key)))
        };
        // What the services themselves bring along is new; of all else nothing comes and nothing goes.
        self.objects.retain(|object| {
            let key = ObjectKey::of(object);
            key.is_some_and(|key| is_set(&key) || services.contains(&key.name) || had(&key).is_some())
        });
        for object in &mut self.objects {
            let Some(key) = ObjectKey::of(object) else {
                continue;
            };
            if is_workload(object) && services.contains(&key.name) || is_set(&key) {
                continue;
            }
            if let Some(old) = had(&key) {
                object.clone_from(old);
            }
        }
        for old in &last.objects {
            let key = ObjectKey::of(old).filter(|key| !is_set(key));
            let is_missing = key.is_some_and(|key| {
                !self
                    .objects
                    .iter()
                    .any(|have| ObjectKey::of(have).is_some_and(|have| have.same_object(&key)))
            });
            if is_missing {
                self.objects.push(old.clone());
            }
        }
        let references: Vec<ConfigReference> =
            self.objects.iter().flat_map(skep_manifest::config_references).collect();
        let values_in: BTreeSet<&str> = self.objects.iter().filter_map(skep_manifest::values_in).collect();
        let named = |key: &&ObjectKey| {
            key.kind == "Secret" && values_in.contains(key.name.as_str())
                || references.iter().any(|reference| reference.kind == key.kind && reference.name == key.name)
        };
        // Plain sets stay too, whether the project still has them or not.
        let versions = Versions::of_release(last);
        let is_plain = |key: &&ObjectKey| is_set(key) && !versions.contains(key);
        self.kept_config = last.inventory.iter().filter(|key| named(key) || is_plain(key)).cloned().collect();
        let kept = last
            .objects
            .iter()
            .filter(|object| ObjectKey::of(object).is_some_and(|key| self.kept_config.contains(&key)));
        let missing =
            |object: &&Value| !self.objects.iter().any(|have| ObjectKey::of(have) == ObjectKey::of(object));
        let kept: Vec<Value> = kept.filter(missing).cloned().collect();
        self.objects.extend(kept);
        Ok(())
    }

    /// Whether the release brings the definition of this object's kind.
    pub(crate) fn defines(&self, key: &ObjectKey) -> bool {
        let names = |object: &&Value| {
            object["kind"] == "CustomResourceDefinition"
                && object["spec"]["names"]["kind"] == key.kind.as_str()
        };
        self.objects.iter().any(|object| names(&object))
    }

    /// A problem with an object, told with the place of its manifest.
    pub(crate) fn place(&self, key: &ObjectKey, problem: Problem) -> Problem {
        match self.places.get(key) {
            Some(place) => Problem::Manifested { place: place.clone(), problem: Box::new(problem) },
            None => problem,
        }
    }

    /// The app's Namespace.
    pub(crate) fn namespace_object(&self) -> Value {
        self.objects.iter().find(|object| object["kind"] == "Namespace").cloned().unwrap_or_default()
    }

    /// Everything that is applied, Secrets included, the migration not.
    pub(crate) fn all_objects(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().chain(&self.secrets.0)
    }

    /// What goes into the record.
    pub(crate) fn recorded_objects(&self) -> Vec<Value> {
        self.objects.clone()
    }

    /// Secrets by their plain names, and the versions that hold them.
    pub(crate) fn secret_versions(&self) -> BTreeMap<String, String> {
        let copies = self.secrets.0.iter().filter_map(skep_manifest::copied_from);
        let mut versions: BTreeMap<String, String> = self.kept_secrets.clone();
        versions.extend(copies);
        versions
    }

    /// Everything that the release writes or refers to.
    pub(crate) fn inventory(&self) -> Vec<ObjectKey> {
        let mut keys = skep_manifest::inventory(self.all_objects().chain(&self.migration));
        keys.extend(self.kept_config.iter().cloned());
        keys.sort();
        keys.dedup();
        keys
    }

    /// Written before the migration, in waves.
    pub(crate) fn stage_waves(&self) -> Vec<Vec<Value>> {
        let staged = skep_manifest::stage_and_apply(self.all_objects().cloned().collect(), &self.needs);
        staged.stage.into_iter().map(|(_, objects)| objects).collect()
    }

    /// Written after it.
    pub(crate) fn apply_waves(&self) -> Vec<Vec<Value>> {
        let staged = skep_manifest::stage_and_apply(self.all_objects().cloned().collect(), &self.needs);
        staged.apply.into_iter().map(|(_, objects)| objects).collect()
    }

    /// Every workload whose rollout is awaited.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(|object| is_workload(object))
    }

    /// The workloads that the migration needs.
    pub(crate) fn needed_workloads(&self) -> impl Iterator<Item = &Value> {
        let needed = |name: &str| self.needs.iter().any(|need| need == name);
        self.workloads().filter(move |object| object["metadata"]["name"].as_str().is_some_and(needed))
    }

    /// Leaves as it is what has grown or run since and can't be undone: a recorded release's claims and every Job's images. Returns what
    /// to warn of.
    pub(crate) fn respect_live(&mut self, live: &BTreeMap<ObjectKey, Value>) -> Vec<String> {
        let mut warnings = Vec::new();
        for object in &mut self.objects {
            let Some(key) = ObjectKey::of(object) else { continue };
            let Some(there) = live.get(&key) else { continue };
            if !self.recreate.contains(&key.to_string()) && skep_manifest::keep_job_images(object, there) {
                warnings.push(format!(
                    "{key} keeps the image that it was created with; add `--recreate {key}` to run it again"
                ));
            }
            if let Some(release) = self.release
                && let Some((there, wanted)) = skep_manifest::keep_claim_size(object, there)
            {
                warnings.push(format!(
                    "{key} stays at {there}: a claim can't shrink to the {wanted} of v{release}"
                ));
            }
        }
        warnings
    }

    /// Leaves the replicas of a workload under an autoscaler as the autoscaler has them, and of one that was scaled by `skep scale` as that
    /// set them. Answers which those are: how many there are, and how many the manifest says.
    pub(crate) fn respect_scaling(
        &mut self,
        live: &BTreeMap<ObjectKey, Value>,
    ) -> Vec<(ObjectKey, i64, i64)> {
        let scaled = skep_manifest::autoscaled(&self.objects);
        let mut by_hand = Vec::new();
        for object in &mut self.objects {
            let Some(key) = ObjectKey::of(object) else { continue };
            if let Some(scaled) = scaled.iter().find(|scaled| scaled.workload.same_object(&key)) {
                skep_manifest::hold_replicas(object, live.get(&key), scaled, MANAGER);
                continue;
            }
            let Some(there) = live.get(&key) else { continue };
            if !skep_manifest::replicas_are_of(there, OPERATOR) {
                // Given back, and the manifest says nothing: the number that Kubernetes gives by itself.
                let left =
                    there["spec"]["replicas"].as_i64().filter(|_| skep_manifest::replicas_are_nobodys(there));
                if left.is_some_and(|left| left != 1) && object["spec"].get("replicas").is_none() {
                    object["spec"]["replicas"] = json!(1);
                }
                continue;
            }
            let wanted = object["spec"].as_object_mut().and_then(|spec| spec.remove("replicas"));
            let wanted = wanted.and_then(|wanted| wanted.as_i64()).unwrap_or(1);
            by_hand.push((key, there["spec"]["replicas"].as_i64().unwrap_or(1), wanted));
        }
        by_hand
    }
}

/// What each image was built from: as it is now, or as the last release has it.
fn commits(images: &ImageDigests, last: Option<&Release>) -> BTreeMap<String, String> {
    let mut commits = last.map(|release| release.commits.clone()).unwrap_or_default();
    commits.retain(|name, _| !images.digests.contains_key(name));
    commits.extend(images.commits.clone());
    commits
}

/// The Secrets that a deploy would apply now: versions and their plain copies.
pub(crate) fn secrets(app: &App, manifests: &Manifests, keys: &mut Keys) -> Secrets {
    let Split { logins, sets, .. } = split(app, manifests, keys);
    let secrets = sets.into_iter().filter(|set| set.kind == "Secret");
    Secrets(secrets.flat_map(|set| [set.version, set.copy]).chain(logins).collect())
}

/// The manifests' objects and the project's config, by how they are kept.
struct Split {
    /// Recorded as they are.
    objects: Vec<Value>,
    /// Secrets that something other than a pod reads by name: applied, neither versioned nor recorded.
    logins: Vec<Value>,
    /// Config of the project and of the manifests, as versions.
    sets: Vec<Versioned>,
}

fn split(app: &App, manifests: &Manifests, keys: &mut Keys) -> Split {
    let project = &app.project;
    let salt = keys.salt();
    let values = &manifests.placeholders.0;
    let mut objects: Vec<Value> = manifests.objects.iter().map(|object| object.value.clone()).collect();
    let substituted = (!values.is_empty()).then(|| {
        let name = values::plain_name(app);
        skep_manifest::secret(project.app.as_str(), &project.namespace, &name, values, &salt)
    });
    let substituted = Vec::from_iter(substituted);
    objects.iter_mut().for_each(|object| name_values(object, &substituted, &Versions::default()));
    let ingress_port = app.ingress_port;
    let (app, namespace) = (project.app.as_str(), project.namespace.as_str());
    let (objects, mut sets) = skep_manifest::split_config(app, objects, &salt, values);
    let (mut logins, objects): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object["apiVersion"] == "v1" && object["kind"] == "Secret");
    logins.iter_mut().for_each(|secret| skep_manifest::label(secret, app));
    sets.extend(substituted);
    for (name, set) in &project.config {
        let here = |(key, value): (&String, &String)| (key.clone(), here(value, ingress_port).into_owned());
        let values = set.values.iter().map(here).collect();
        sets.push(skep_manifest::config_map(app, namespace, name, &values));
    }
    for (name, set) in &project.secrets {
        let mut values = set.values.clone();
        for key in &set.generate {
            if !values.contains_key(key) {
                values.insert(key.clone(), keys.generated(name, key));
            }
        }
        sets.push(skep_manifest::secret(app, namespace, name, &values, &salt));
    }
    Split { objects, logins, sets }
}

/// Where the project writes each object: in a manifest, or in skep.yaml.
fn sources(app: &App, manifests: &Manifests) -> BTreeMap<String, String> {
    let of_skep_yaml = |kind: &str, name: &String| (format!("{kind}/{name}"), "skep.yaml".to_owned());
    let config = app.project.config.keys().map(|name| of_skep_yaml("ConfigMap", name));
    let secrets = app.project.secrets.keys().map(|name| of_skep_yaml("Secret", name));
    let of_manifests = manifests
        .objects
        .iter()
        .filter_map(|object| Some((object.key()?.to_string(), object.origin.file().display().to_string())));
    config.chain(secrets).chain(of_manifests).collect()
}

/// An object that has placeholders names the version of these sets that holds what stands for them.
fn name_values(object: &mut Value, sets: &[Versioned], known: &Versions) {
    skep_manifest::rename_values_in(object, |name| {
        let plain = known.plain_name("Secret", name).unwrap_or(name);
        let set = sets.iter().find(|set| set.plain_name == plain)?;
        Some(set.name.clone())
    });
}

fn gate(app: &App, job: &Object, timeout: Duration) -> Result<Value, Failure> {
    let mut job = skep_manifest::migration_job(job, timeout).in_step(Step::Plan)?;
    skep_manifest::label(&mut job, app.project.app.as_str());
    Ok(job)
}

/// Which text of the manifests becomes which pinned reference.
struct Pins {
    references: BTreeMap<String, String>,
    ours: BTreeMap<String, Digest>,
    third_party: BTreeMap<String, Digest>,
}

impl Pins {
    async fn find(
        app: &App,
        manifests: &Manifests,
        images: &ImageDigests,
        last: Option<&Release>,
    ) -> Result<Self, Failure> {
        let names = app.our_images().in_step(Step::Plan)?;
        let mut ours = images.digests.clone();
        for (name, digest) in last.iter().flat_map(|release| &release.images) {
            if app.project.images.contains_key(name) {
                ours.entry(name.clone()).or_insert(*digest);
            }
        }
        let mut references = BTreeMap::new();
        let mut of_others = Vec::new();
        for used in manifests.image_uses() {
            match skep_manifest::owner(&used.text, &names) {
                Owner::Ours(name) => {
                    let digest = ours.get(&name).ok_or_else(|| {
                        let what = format!("image `{name}` has not been built yet");
                        Failure::at(
                            Step::Plan,
                            Problem::Project {
                                what,
                                hint: "`skep deploy` builds and ships everything once".to_owned(),
                            },
                        )
                    })?;
                    let repository = app.repository(&name).in_step(Step::Plan)?;
                    references.insert(used.text, repository.pinned(*digest).to_string());
                }
                Owner::ThirdParty | Owner::Unclear => of_others.push(used.text),
            }
        }
        of_others.sort();
        of_others.dedup();
        let known = last.map(|release| release.third_party.clone()).unwrap_or_default();
        let third_party = images::third_party(app, of_others, &known).await?;
        for (text, digest) in &third_party {
            let image: skep_model::ImageRef = text.parse().in_step(Step::Plan)?;
            references.insert(text.clone(), image.pinned(*digest).to_string());
        }
        Ok(Self { references, ours, third_party })
    }

    fn pin(&self, mut object: Object) -> Object {
        skep_manifest::pin(&mut object.value, &self.references);
        object
    }
}
