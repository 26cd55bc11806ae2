//! What the cluster says of an app's objects: its Events, oldest first. `skep events` prints them; a diagnosis and a bundle use them as evidence.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
use skep_cluster::Snapshot;
use skep_model::{ObjectKey, Step};

use crate::{App, Failure, error::InStep, operate::service_named, owned::owned_by};

/// Which Events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventsRequest {
    /// Of one service and its pods; of the whole namespace when absent.
    pub service: Option<String>,
    /// Go on as they come.
    pub watch: bool,
}

/// One Event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterEvent {
    /// When it came last, RFC 3339.
    pub at: String,
    /// What it is about: `Pod/api-7d9-x2x`.
    pub about: String,
    /// Whether something is wrong.
    pub warning: bool,
    /// The cluster's word for it.
    pub reason: String,
    /// How often it came.
    pub times: u64,
    /// The cluster's sentence.
    pub message: String,
}

impl ClusterEvent {
    pub(crate) fn read(event: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let series = &event["series"];
        let times = [
            &series["lastObservedTime"],
            &event["lastTimestamp"],
            &event["eventTime"],
            &event["firstTimestamp"],
        ];
        let about = &event["involvedObject"];
        Self {
            at: times.into_iter().map(text).find(|at| !at.is_empty()).unwrap_or_default(),
            about: format!("{}/{}", text(&about["kind"]), text(&about["name"])),
            warning: event["type"] == "Warning",
            reason: text(&event["reason"]),
            times: series["count"].as_u64().or_else(|| event["count"].as_u64()).unwrap_or(1).max(1),
            message: text(&event["message"]).trim().to_owned(),
        }
    }
}

/// `BackOff, 3 times: Back-off restarting failed container`
impl fmt::Display for ClusterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.times {
            1 => write!(f, "{}: {}", self.reason, self.message),
            times => write!(f, "{}, {times} times: {}", self.reason, self.message),
        }
    }
}

/// Whose Events are a workload's: its own, those of its ReplicaSets and of its pods, also of those that are gone.
pub(crate) struct Of {
    workload: ObjectKey,
    sets: Vec<String>,
}

impl Of {
    pub(crate) fn workload(seen: &Snapshot, key: &ObjectKey) -> Self {
        let all = seen.all("ReplicaSet");
        let sets =
            seen.get(&key.kind, &key.name).map(|workload| owned_by(workload, &all)).unwrap_or_default();
        let name = |set: &Value| set["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Self { workload: key.clone(), sets: sets.into_iter().map(name).collect() }
    }

    pub(crate) fn is_about(&self, event: &Value) -> bool {
        let about = &event["involvedObject"];
        let name = about["name"].as_str().unwrap_or_default();
        // A pod's name is its owner's with one word more.
        let is_pod_of = |owner: &str| {
            name.strip_prefix(owner)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| !rest.is_empty() && !rest.contains('-'))
        };
        match about["kind"].as_str() {
            Some("Pod") => self.sets.iter().any(|set| is_pod_of(set)) || is_pod_of(&self.workload.name),
            Some("ReplicaSet") => self.sets.iter().any(|set| set == name),
            Some(kind) => kind == self.workload.kind && name == self.workload.name,
            None => false,
        }
    }
}

/// Calls `each` with every Event, oldest first.
///
/// # Errors
/// When there is no such service, or the API fails.
pub async fn events(
    app: &App,
    request: &EventsRequest,
    mut each: impl FnMut(ClusterEvent),
) -> Result<(), Failure> {
    let key = match &request.service {
        Some(name) => ObjectKey::of(&service_named(app, name).await?),
        None => None,
    };
    let mut view = app.cluster.view(app.namespace());
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        tokio::select! {
            changed = view.changed() => { changed.in_step(Step::Load)?; }
            () = app.cancel.cancelled() => return Ok(()),
        }
        let seen = view.latest();
        let of = key.as_ref().map(|key| Of::workload(seen, key));
        let wanted = |event: &&Value| of.as_ref().is_none_or(|of| of.is_about(event));
        let mut new: Vec<ClusterEvent> = Vec::new();
        for event in seen.all("Event").into_iter().filter(wanted) {
            let read = ClusterEvent::read(event);
            let name = event["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if told.insert(name, read.times) != Some(read.times) {
                new.push(read);
            }
        }
        new.sort();
        new.into_iter().for_each(&mut each);
        if !request.watch {
            return Ok(());
        }
    }
}
