//! What stands for the placeholders of objects, kept in versioned Secrets: one that the release brings along, and those of the releases
//! whose objects it takes over as they were.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde_json::Value;
use skep_cluster::ClusterError;
use skep_model::{ObjectKey, Step};

use crate::{
    App, Failure,
    desired::Desired,
    error::{InStep, Problem},
    keys,
};

/// The plain name of the Secret that holds what stands for placeholders.
pub(crate) fn plain_name(app: &App) -> String {
    format!("{}-substituted", app.project.app)
}

/// Placeholders and what stands for them.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Values(pub(crate) BTreeMap<String, String>);

/// Shows no value.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.keys())
    }
}

/// The values of each Secret that an object of the release names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Substituted(BTreeMap<String, Values>);

impl Substituted {
    /// From the Secrets that come with the release, or from the cluster.
    pub(crate) async fn read(app: &App, desired: &Desired) -> Result<Self, Failure> {
        let mut all = BTreeMap::new();
        for object in desired.all_objects().chain(&desired.migration) {
            let Some(name) = skep_manifest::values_in(object).filter(|name| !all.contains_key(*name)) else {
                continue;
            };
            let key = ObjectKey {
                kind: "Secret".to_owned(),
                namespace: Some(app.namespace().to_owned()),
                name: name.to_owned(),
                api_version: "v1".to_owned(),
            };
            let brought = desired.secrets.0.iter().find(|secret| secret["metadata"]["name"] == name);
            let secret = match brought {
                Some(secret) => Some(secret.clone()),
                None => app.cluster.get(&key).await.in_step(Step::Plan)?,
            };
            let secret = secret.ok_or_else(|| {
                let object = ObjectKey::of(object).map(|key| key.to_string()).unwrap_or_default();
                let what = format!("what stands for the placeholders of {object} is gone: there is no {key}");
                let hint = "check out its commit and deploy that".to_owned();
                Failure::at(Step::Plan, Problem::Project { what, hint })
            })?;
            all.insert(name.to_owned(), Values(keys::texts(&secret)));
        }
        Ok(Self(all))
    }

    fn of(&self, object: &Value) -> Option<&BTreeMap<String, String>> {
        self.0.get(skep_manifest::values_in(object)?).map(|values| &values.0)
    }

    /// The object as only the cluster may see it.
    pub(crate) fn fill<'o>(&self, object: &'o Value) -> Cow<'o, Value> {
        match self.of(object) {
            None => Cow::Borrowed(object),
            Some(values) => Cow::Owned(skep_manifest::filled(object, values)),
        }
    }

    /// Differences of the object that may be shown.
    pub(crate) fn mask(
        &self,
        object: &Value,
        fields: Vec<skep_manifest::Difference>,
    ) -> Vec<skep_manifest::Difference> {
        match self.of(object) {
            None => fields,
            Some(values) => skep_manifest::masked(fields, values),
        }
    }

    /// What the API says of the object, which may quote it.
    pub(crate) fn mask_error(&self, error: ClusterError) -> ClusterError {
        self.0.values().fold(error, |error, values| {
            error.map_message(|message| skep_manifest::masked_text(message, &values.0))
        })
    }
}
