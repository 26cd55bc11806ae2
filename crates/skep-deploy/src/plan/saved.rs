//! A plan in a file: exactly what was looked at is what a later deploy carries out, or it refuses because the cluster has moved.
//!
//! The desired objects are frozen; Secrets are not in the file. They are read again from the project and must come to the
//! versions that the plan names. The comparison with the cluster is made again and must come to the same changes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skep_cluster::Force;
use skep_manifest::Difference;
use skep_model::{Digest, ObjectKey, Outcome, Step};

use super::{Change, Plan, Verb, against_live};
use crate::{
    App, Failure,
    desired::{self, Desired, Secrets},
    error::{InStep, Problem},
    keys::Keys,
    steps::{Clock, images, load},
};

/// A plan as its file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedPlan {
    /// The file's format; a Skep that does not know it refuses the file.
    pub format: u32,
    /// When it was made.
    pub made: Timestamp,
    /// The app.
    pub app: String,
    /// The target of skep.yaml.
    pub target: String,
    /// The cluster's API.
    pub server: String,
    /// The app's namespace.
    pub namespace: String,
    /// The newest release at that time, 0 for none.
    pub newest_release: u64,
    commit: Option<String>,
    #[serde(default)]
    commits: BTreeMap<String, String>,
    images: BTreeMap<String, Digest>,
    third_party: BTreeMap<String, Digest>,
    needs: Vec<String>,
    migration: Option<Value>,
    objects: Vec<Value>,
    /// Secrets by name: versions are salted, so a name is no help in guessing a value.
    secrets: Vec<ObjectKey>,
    kept_config: Vec<ObjectKey>,
    #[serde(default)]
    recreate: Vec<String>,
    #[serde(default)]
    skipped: Vec<ObjectKey>,
    #[serde(default)]
    sources: BTreeMap<String, String>,
    steps: Steps,
}

/// What the comparison with the cluster came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Steps {
    changes: Vec<SavedChange>,
    removes: Vec<ObjectKey>,
    migrates: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedChange {
    object: ObjectKey,
    verb: Verb,
    fields: Vec<Difference>,
}

impl Steps {
    fn of(plan: &Plan) -> Self {
        let saved = |change: &Change| SavedChange {
            object: change.object.clone(),
            verb: change.verb,
            fields: change.fields.clone(),
        };
        Self {
            changes: plan.changes.iter().map(saved).collect(),
            removes: plan
                .removals
                .iter()
                .filter(|removal| removal.is_change())
                .map(|removal| removal.object.clone())
                .collect(),
            migrates: plan.migration_is_due,
        }
    }

    /// Objects for which the two say something else.
    fn moved(&self, now: &Self) -> Vec<String> {
        let one_sided = |these: &Self, those: &Self| -> Vec<String> {
            let changes = these.changes.iter().filter(|change| !those.changes.contains(change));
            let removes = these.removes.iter().filter(|key| !those.removes.contains(key));
            changes.map(|change| &change.object).chain(removes).map(ToString::to_string).collect()
        };
        let mut moved = [one_sided(self, now), one_sided(now, self)].concat();
        if self.migrates != now.migrates {
            moved.push("the migration".to_owned());
        }
        moved.sort();
        moved.dedup();
        moved
    }
}

impl SavedPlan {
    /// The format that this Skep writes.
    pub const FORMAT: u32 = 1;

    /// What is to be kept of a plan.
    ///
    /// # Errors
    /// When the app's keys are not in the cluster yet: the names of its Secrets would differ at each try.
    pub fn of(app: &App, plan: &Plan) -> Result<Self, Failure> {
        let desired = &plan.desired;
        let secrets: Vec<ObjectKey> = desired.secrets.0.iter().filter_map(ObjectKey::of).collect();
        if plan.keys.is_some() && !secrets.is_empty() {
            let what = "this plan can't be saved: the first release makes the key that names of Secrets are salted with";
            return Err(refused(what.to_owned(), "`skep deploy` once; later plans can be saved"));
        }
        Ok(Self {
            format: Self::FORMAT,
            made: skep_ambient::now(),
            app: app.project.app.to_string(),
            target: app.project.target.clone(),
            server: app.cluster.url().to_owned(),
            namespace: app.namespace().to_owned(),
            newest_release: plan.newest_release,
            commit: desired.commit.clone(),
            commits: desired.commits.clone(),
            images: desired.images.clone(),
            third_party: desired.third_party.clone(),
            needs: desired.needs.clone(),
            migration: desired.migration.clone(),
            objects: desired.objects.clone(),
            secrets,
            kept_config: desired.kept_config.clone(),
            recreate: desired.recreate.clone(),
            skipped: desired.skipped.clone(),
            sources: desired.sources.clone(),
            steps: Steps::of(plan),
        })
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong with it, in one sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            format!("it is not a saved plan: line {}, column {} is not JSON", error.line(), error.column())
        })?;
        match value["format"].as_u64() {
            Some(format) if format > u64::from(Self::FORMAT) => {
                return Err(format!(
                    "it has format {format}, and this Skep knows formats up to {}",
                    Self::FORMAT
                ));
            }
            Some(_) => {}
            None => return Err("it is not a saved plan: it has no format version".to_owned()),
        }
        serde_json::from_value(value)
            .map_err(|_| "it is not a saved plan: it lacks the fields of one".to_owned())
    }

    /// The plan again, if everything is still as it was when it was made.
    pub(crate) async fn revive(self, app: &App, clock: &mut Clock) -> Result<Plan, Failure> {
        self.is_for(app)?;
        let manifests = load::load(app, clock)?;
        clock.start(Step::Plan);
        let planned = self.still_holds(app, &manifests).await.and_then(Plan::uncontested);
        let plan = clock.settle(Step::Plan, planned, |_| (Outcome::Done, "as it was saved".to_owned()))?;
        plan.announce(app);
        Ok(plan)
    }

    fn is_for(&self, app: &App) -> Result<(), Failure> {
        let place = |app: &str, target: &str, namespace: &str, server: &str| {
            format!("{app} on target {target}, namespace {namespace} of {server}")
        };
        let made_for = place(&self.app, &self.target, &self.namespace, &self.server);
        let asked = place(app.project.app.as_str(), &app.project.target, app.namespace(), app.cluster.url());
        match made_for == asked {
            true => Ok(()),
            false => Err(refused(
                format!("the plan was made for {made_for}, and this is {asked}"),
                "give the target that the plan was made for with `-t`, or make a new plan",
            )),
        }
    }

    async fn still_holds(self, app: &App, manifests: &load::Manifests) -> Result<Plan, Failure> {
        let store = app.releases();
        let (keys, releases) = tokio::join!(Keys::read(app), store.all());
        let (mut keys, releases) = (keys.in_step(Step::Plan)?, releases.in_step(Step::Plan)?);
        keys.adopt(app).await.in_step(Step::Plan)?;
        app.warn_of_unreadable(&releases);
        let newest = releases.newest();
        if newest != self.newest_release {
            let what = format!(
                "the plan was made after v{}, and the newest release is v{newest}",
                self.newest_release
            );
            return Err(refused(what, "make a new plan"));
        }
        images::are_there(app, &self.images, "the saved plan").await?;
        let secrets = desired::secrets(app, manifests, &mut keys);
        if let Some(gone) = self
            .secrets
            .iter()
            .find(|key| !secrets.0.iter().any(|one| ObjectKey::of(one).as_ref() == Some(*key)))
        {
            // The plan has each version's plain copy too, and only one of the names is another's beginning.
            let is_plain = |key: &&ObjectKey| gone.name.starts_with(&format!("{}-", key.name));
            let name = self.secrets.iter().find(is_plain).map_or(&gone.name, |key| &key.name);
            return Err(refused(
                format!("Secret {name} has other values than the plan was made with"),
                "make a new plan",
            ));
        }
        let wanted = Desired {
            objects: self.objects.clone(),
            secrets: Secrets(
                secrets
                    .0
                    .into_iter()
                    .filter(|one| ObjectKey::of(one).is_some_and(|key| self.secrets.contains(&key)))
                    .collect(),
            ),
            migration: self.migration.clone(),
            needs: self.needs.clone(),
            images: self.images.clone(),
            third_party: self.third_party.clone(),
            commit: self.commit.clone(),
            commits: self.commits.clone(),
            kept_config: self.kept_config.clone(),
            recreate: self.recreate.clone(),
            skipped: self.skipped.clone(),
            sources: self.sources.clone(),
            ..Desired::default()
        };
        let plan = against_live(app, wanted, None, &releases, Force::No, &app.cause()).await?;
        let plan = plan.with_origin(app, &releases, &mut keys).await?;
        let moved = self.steps.moved(&Steps::of(&plan));
        if !moved.is_empty() && plan.contested.is_empty() {
            let what = format!("the cluster has moved since the plan was made: {}", moved.join(", "));
            return Err(refused(what, "`skep plan` shows what a deploy would do now"));
        }
        Ok(plan)
    }
}

fn refused(what: String, hint: &str) -> Failure {
    Failure::at(Step::Plan, Problem::Project { what, hint: hint.to_owned() })
}
