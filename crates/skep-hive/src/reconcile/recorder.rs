//! Events: what happened, kept for an hour, with repetitions counted instead of listed.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skep_apiserver::{DeleteOptions, Patch, PatchOptions, Resources};

use crate::kind::Kind;
use crate::object;

/// Kubernetes keeps events for one hour (`--event-ttl`).
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Something worth telling about an object.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// `involvedObject`.
    pub(crate) about: Value,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) warning: bool,
    /// Who tells: `kubelet`, `deployment-controller`.
    pub(crate) component: String,
}

/// Writes the event, or counts it if the same was told before. An event that can't be written is only logged: nothing
/// depends on it.
pub(crate) async fn record(resources: &Resources, note: Note) {
    let namespace = match object::text(&note.about, "/namespace") {
        "" => "default",
        namespace => namespace,
    };
    // The same thing told again lands on the same name: repetition needs no memory here.
    let same = json!([note.about, note.reason, note.message, note.warning, note.component]);
    let name = format!("{}.{}", object::text(&note.about, "/name"), object::hash(&same, 0));
    let now = object::stamp(skep_ambient::now());
    let written = match resources.get(Kind::EVENT, Some(namespace), &name) {
        Some(told) => {
            let count = object::integer(&told, "/count").unwrap_or(1) + 1;
            let patch = json!({"count": count, "lastTimestamp": now});
            let options = PatchOptions { manager: note.component.clone(), ..PatchOptions::default() };
            resources.patch(Kind::EVENT, Some(namespace), &name, Patch::Merge(patch), options).await
        }
        None => {
            let event = json!({
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": note.about,
                "reason": note.reason,
                "message": note.message,
                "type": if note.warning { "Warning" } else { "Normal" },
                "source": {"component": note.component},
                "reportingComponent": note.component,
                "reportingInstance": "",
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            });
            resources.create(event, &note.component).await
        }
    };
    if let Err(error) = written {
        tracing::debug!(%error, reason = note.reason, "an event was not recorded");
    }
}

/// Drops events that nobody added to for an hour.
pub(crate) async fn expire(resources: &Resources, now: Timestamp) {
    for event in resources.list(Kind::EVENT, None) {
        let last = object::time(&event, "/lastTimestamp")
            .or_else(|| object::time(&event, "/metadata/creationTimestamp"));
        if last.is_none_or(|last| now.duration_since(last) < KEPT) {
            continue;
        }
        let (namespace, name) = (object::namespace(&event), object::name(&event));
        if let Err(error) =
            resources.delete(Kind::EVENT, Some(namespace), name, DeleteOptions::default()).await
        {
            tracing::debug!(%error, name, "an old event was not removed");
        }
    }
}
