//! Desired against live: each object is rehearsed by the API, and the answer is a change, an adoption, a conflict, or nothing.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use serde_json::Value;
use skep_cluster::{Applied, ClusterError, FieldConflict, Force, MANAGER};
use skep_manifest::{Difference, Versions, differences};
use skep_model::{ObjectKey, Release, Step};

use super::{
    Change, Drift, Verb,
    change::explain,
    drift::{added, deleted, taken},
};
use crate::{
    App, Failure,
    adopt::Adoption,
    desired::Desired,
    error::{InStep, Problem},
};

/// Reads in flight at once.
const IN_FLIGHT: usize = 32;

/// What a comparison with the cluster came to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) changes: Vec<Change>,
    pub(super) adoptions: Vec<Adoption>,
    pub(super) drift: Vec<Drift>,
    pub(super) contested: Vec<(ObjectKey, Vec<FieldConflict>)>,
    /// Objects whose update strategy leaves parameters behind that an apply alone would not remove.
    pub(super) strategies: Vec<ObjectKey>,
}

pub(super) async fn with_live(
    app: &App,
    desired: &Desired,
    live: &BTreeMap<ObjectKey, Value>,
    force: Force,
    releases: &[Release],
) -> Result<Compared, Failure> {
    let mut sent: Vec<Value> =
        desired.all_objects().map(|object| desired.substituted.fill(object).into_owned()).collect();
    let take = |object: &mut Value| {
        let there = live_of(live, object)?;
        skep_manifest::take_strategy(object, there)
    };
    let strategies: Vec<Option<Value>> = sent.iter_mut().map(take).collect();
    let answers = app.cluster.rehearse_all(&sent, force).await;
    let mut compared = Compared::default();
    for ((object, strategy), answer) in sent.iter().zip(strategies).zip(answers) {
        let Some(key) = ObjectKey::of(object) else {
            continue;
        };
        let mut answer = answer.map_err(|error| desired.substituted.mask_error(error));
        if let Some(strategy) = strategy {
            if let Ok(applied) = &mut answer {
                skep_manifest::put_strategy(&mut applied.object, strategy);
            }
            compared.strategies.push(key.clone());
        }
        let there = live_of(live, object);
        let managers = there.map(skep_manifest::adoptable_from).unwrap_or_default();
        match (there, answer) {
            (Some(there), answer) if !managers.is_empty() && is_only_kubectls(&answer) => {
                let fields = adopted(app, there, object, answer.ok()).await?;
                compared.update(key.clone(), fields);
                compared.adoptions.push(Adoption { object: key, managers, live: there.clone() });
            }
            (Some(there), Err(ClusterError::Conflict { conflicts, .. })) => {
                let forced = app.cluster.rehearse(object, Force::Yes).await.in_step(Step::Plan)?;
                let (drift, fields) = taken(&key, &conflicts, there, &forced.object);
                compared.drift.extend(drift);
                compared.update(key.clone(), fields);
                compared.contested.push((key, conflicts));
            }
            (Some(there), Err(error)) if error.is_invalid() => {
                let fields = skep_manifest::immutable_changes(there, object, MANAGER);
                let is_possible = !fields.is_empty() || rehearse_as_new(app, object).await.is_ok();
                if !is_possible {
                    return Err(Failure::at(Step::Plan, desired.place(&key, error.into())));
                }
                if !desired.recreate.contains(&key.to_string()) {
                    let fields = fields.into_iter().map(|field| field.path).collect();
                    let problem = Problem::Immutable { object: key.clone(), fields, error };
                    return Err(Failure::at(Step::Plan, desired.place(&key, problem)));
                }
                let fields = skep_manifest::changes(there, object, MANAGER);
                let (verb, object) = (Verb::Recreate, key);
                compared.changes.push(Change { object, verb, place: None, fields, restarts: Vec::new() });
            }
            (there, answer) => {
                let rehearsed = answered(there, answer, desired.defines(&key))
                    .map_err(|error| Failure::at(Step::Plan, desired.place(&key, error.into())))?;
                compared.drift.extend(match there {
                    None => deleted(&key, releases.last()).into_iter().collect(),
                    Some(there) => added(&key, there),
                });
                compared.changes.extend(Change::of(key, there, object, rehearsed.as_ref()));
            }
        }
    }
    let mut compared = compared.masked(desired);
    let mut versions = Versions::of_objects(desired.all_objects());
    releases.iter().for_each(|release| versions.extend(Versions::of_release(release)));
    explain(app, desired, &mut compared.changes, &versions).await?;
    Ok(compared)
}

impl Compared {
    /// What stands for placeholders is shown to nobody.
    fn masked(mut self, desired: &Desired) -> Self {
        for object in desired.all_objects().filter(|object| skep_manifest::values_in(object).is_some()) {
            let Some(key) = ObjectKey::of(object) else { continue };
            for change in self.changes.iter_mut().filter(|change| change.object == key) {
                change.fields = desired.substituted.mask(object, std::mem::take(&mut change.fields));
            }
            for drift in self.drift.iter_mut().filter(|drift| drift.object == key) {
                drift.mask(|field| desired.substituted.mask(object, vec![field]).pop());
            }
        }
        self
    }

    fn update(&mut self, object: ObjectKey, fields: Vec<Difference>) {
        if !fields.is_empty() {
            self.changes.push(Change {
                object,
                verb: Verb::Update,
                place: None,
                fields,
                restarts: Vec::new(),
            });
        }
    }
}

/// Whether nobody but kubectl stands in the way of an apply.
fn is_only_kubectls(answer: &Result<Applied, ClusterError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(ClusterError::Conflict { conflicts, .. }) => {
            conflicts.iter().all(|conflict| skep_manifest::is_kubectl(&conflict.manager))
        }
        Err(_) => false,
    }
}

/// Everything that is wanted and is there.
pub(super) async fn live(app: &App, desired: &Desired) -> Result<BTreeMap<ObjectKey, Value>, Failure> {
    let keys: Vec<ObjectKey> =
        desired.all_objects().chain(&desired.migration).filter_map(ObjectKey::of).collect();
    let mut found = stream::iter(keys)
        .map(
            |key| async move { app.cluster.get(&key).await.map(|object| object.map(|object| (key, object))) },
        )
        .buffer_unordered(IN_FLIGHT);
    let mut live = BTreeMap::new();
    while let Some(answer) = found.next().await {
        live.extend(answer.in_step(Step::Plan)?);
    }
    Ok(live)
}

/// Those of these objects that are there and still the app's: somebody may have made another one under an old name.
pub(super) async fn there(app: &App, keys: Vec<ObjectKey>) -> Result<Vec<ObjectKey>, Failure> {
    let mut found = stream::iter(keys)
        .map(|key| async move {
            let found = app.cluster.get(&key).await;
            found.map(|object| object.filter(|object| app.owns(object)).map(|_| key))
        })
        .buffered(IN_FLIGHT);
    let mut there = Vec::new();
    while let Some(answer) = found.next().await {
        there.extend(answer.in_step(Step::Plan)?);
    }
    Ok(there)
}

pub(super) fn live_of<'a>(live: &'a BTreeMap<ObjectKey, Value>, object: &Value) -> Option<&'a Value> {
    live.get(&ObjectKey::of(object)?)
}

/// What adopting an object and then applying it changes. A field that kubectl wrote and the manifest lacks goes back to its
/// default, which a rehearsal of the same object under another name tells.
async fn adopted(
    app: &App,
    live: &Value,
    object: &Value,
    rehearsed: Option<Applied>,
) -> Result<Vec<Difference>, Failure> {
    let forced = match rehearsed {
        Some(rehearsed) => rehearsed,
        None => app.cluster.rehearse(object, Force::Yes).await.in_step(Step::Plan)?,
    };
    Ok(match rehearse_as_new(app, object).await {
        Ok(fresh) => {
            differences(live, &skep_manifest::after_adoption(live, &forced.object, object, &fresh.object))
        }
        // A name that can't be had: what the apply alone changes is known.
        Err(_) => differences(live, &forced.object),
    })
}

/// What the API would make of an object if it were not there: of the same under another name.
async fn rehearse_as_new(app: &App, object: &Value) -> Result<Applied, ClusterError> {
    let mut other = object.clone();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    other["metadata"]["name"] = format!("{}-as-new", name.get(..50).unwrap_or(name)).into();
    app.cluster.rehearse(&other, Force::No).await
}

/// What the API would make of an object; `None` when its namespace, or its kind's definition, which the release brings along
/// (`defined`), is not there yet: then the object isn't either.
fn answered(
    live: Option<&Value>,
    rehearsed: Result<Applied, ClusterError>,
    defined: bool,
) -> Result<Option<Applied>, ClusterError> {
    match (live, rehearsed) {
        (None, Err(error))
            if error.is_not_found() || defined && matches!(error, ClusterError::UnknownKind { .. }) =>
        {
            Ok(None)
        }
        (_, rehearsed) => rehearsed.map(Some),
    }
}
