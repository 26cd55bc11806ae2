//! What a release does to one object, field by field, and why that replaces pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skep_cluster::Applied;
use skep_manifest::{Difference, Reason, Versions, changed_keys, differences, restart_reasons};
use skep_model::{ObjectKey, Step};

use crate::{App, Failure, desired::Desired, error::InStep};

/// One object of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which.
    pub object: ObjectKey,
    /// What will happen to it.
    pub verb: Verb,
    /// File and line of its manifest; `None` for what Skep makes itself and for a recorded release.
    pub place: Option<String>,
    /// Each field that changes; those of a Secret's data are hidden. A new object is one field at each of its top-level keys.
    pub fields: Vec<Difference>,
    /// Why its pods are replaced; empty when they stay.
    pub restarts: Vec<Restart>,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It is not there.
    Create,
    /// It differs.
    Update,
    /// It differs in a field that can't be changed in place: it is deleted and made anew, as the user wants it.
    Recreate,
}

/// One reason why a service's pods are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Restart {
    /// A container runs another image.
    Image {
        /// The container.
        container: String,
        /// What it runs.
        from: Option<String>,
        /// What it is to run.
        to: String,
    },
    /// Keys of a set that it reads have changed.
    Config {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// The set, by its plain name.
        set: String,
        /// The keys; none when the version that is read now is gone.
        keys: Vec<String>,
    },
    /// Its manifest has changed.
    Manifest {
        /// Where in the pod template.
        path: String,
    },
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { container, .. } => write!(f, "image of {container}"),
            Self::Config { kind, set, keys } => {
                let kind = if *kind == "Secret" { "secret" } else { "config" };
                match keys.as_slice() {
                    [] => write!(f, "{kind} {set}"),
                    keys => write!(f, "{kind} {set} ({})", keys.join(", ")),
                }
            }
            Self::Manifest { path } => write!(f, "{path}"),
        }
    }
}

impl Change {
    /// Whether pods are made by it.
    pub(super) fn restarts_pods(&self) -> bool {
        self.verb != Verb::Update || !self.restarts.is_empty()
    }

    pub(super) fn of(
        object: ObjectKey,
        live: Option<&Value>,
        desired: &Value,
        rehearsed: Option<&Applied>,
    ) -> Option<Self> {
        let (verb, fields) = match (live, rehearsed) {
            (Some(live), Some(rehearsed)) => (Verb::Update, differences(live, &rehearsed.object)),
            (_, _) => (Verb::Create, differences(&nothing_of(desired), desired)),
        };
        let unchanged = verb == Verb::Update && fields.is_empty();
        (!unchanged).then(|| Self { object, verb, place: None, fields, restarts: Vec::new() })
    }
}

/// An object of this kind with nothing in it.
fn nothing_of(object: &Value) -> Value {
    let mut nothing = object.clone();
    if let Some(fields) = nothing.as_object_mut() {
        fields.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind"));
    }
    nothing
}

/// Fills in why pods are replaced: which keys of a set have changed is read from its two versions.
pub(super) async fn explain(
    app: &App,
    desired: &Desired,
    changes: &mut [Change],
    versions: &Versions,
) -> Result<(), Failure> {
    let reasons: Vec<Vec<Reason>> =
        changes.iter().map(|change| restart_reasons(&change.fields, versions)).collect();
    let earlier: BTreeSet<ObjectKey> = reasons
        .iter()
        .flatten()
        .filter_map(|reason| match reason {
            Reason::Config { kind, from, .. } => Some(set_key(app, kind, from)),
            Reason::Image { .. } | Reason::Field { .. } => None,
        })
        .collect();
    let mut read = BTreeMap::new();
    for (key, found) in futures::future::join_all(earlier.into_iter().map(|key| async {
        let found = app.cluster.get(&key).await;
        (key, found)
    }))
    .await
    {
        read.extend(found.in_step(Step::Plan)?.map(|found| (key, found)));
    }
    let keys = |kind: &str, from: &str, to: &str| {
        let key = set_key(app, kind, to);
        let to = desired
            .all_objects()
            .find(|object| ObjectKey::of(object).is_some_and(|other| other.same_object(&key)));
        let from = read.get(&set_key(app, kind, from));
        from.zip(to).map(|(from, to)| changed_keys(from, to)).unwrap_or_default()
    };
    for (change, reasons) in changes.iter_mut().zip(reasons) {
        change.place = desired.places.get(&change.object).cloned();
        change.restarts = match change.verb {
            Verb::Create => Vec::new(),
            Verb::Update | Verb::Recreate => reasons
                .into_iter()
                .map(|reason| match reason {
                    Reason::Image { container, from, to } => Restart::Image { container, from, to },
                    Reason::Config { kind, set, from, to } => {
                        Restart::Config { kind, set, keys: keys(kind, &from, &to) }
                    }
                    Reason::Field { path } => Restart::Manifest { path },
                })
                .collect(),
        };
    }
    Ok(())
}

fn set_key(app: &App, kind: &str, name: &str) -> ObjectKey {
    ObjectKey {
        kind: kind.to_owned(),
        namespace: Some(app.namespace().to_owned()),
        name: name.to_owned(),
        api_version: "v1".to_owned(),
    }
}
