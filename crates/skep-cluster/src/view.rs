//! A live view of what a rollout looks at: one watch per kind over the namespace, merged into one snapshot.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream::SelectAll};
use kube::{
    Api,
    api::ApiResource,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event},
    },
};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Cluster, ClusterError, Redaction, Route, connect::DEADLINE, error::innermost, plain::Plain,
    redaction::NO_RECORDS,
};

/// The kinds that rollouts are judged by.
const KINDS: &[Watched] = &[
    Watched { api_version: "apps/v1", kind: "Deployment" },
    Watched { api_version: "apps/v1", kind: "StatefulSet" },
    Watched { api_version: "apps/v1", kind: "DaemonSet" },
    Watched { api_version: "apps/v1", kind: "ReplicaSet" },
    Watched { api_version: "batch/v1", kind: "Job" },
    Watched { api_version: "v1", kind: "Pod" },
    Watched { api_version: "v1", kind: EVENT },
];

/// What the cluster says of it all: helps to tell why, and is not everybody's to read.
const EVENT: &str = "Event";

/// Never part of a snapshot: what is said in the others is redacted by them.
const SECRETS: Watched = Watched { api_version: "v1", kind: "Secret" };

/// What the namespace holds now, by kind, then name.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    objects: BTreeMap<&'static str, BTreeMap<String, Arc<Value>>>,
}

impl Snapshot {
    /// All objects of a kind, by name.
    pub fn all(&self, kind: &str) -> Vec<&Value> {
        self.objects.get(kind).into_iter().flat_map(BTreeMap::values).map(AsRef::as_ref).collect()
    }

    /// What differs from an earlier one: objects that have come or changed, and kind and name of those that have gone.
    pub fn since(&self, earlier: &Self) -> (Vec<&Value>, Vec<(&'static str, String)>) {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        let nothing = BTreeMap::new();
        for (kind, now) in &self.objects {
            let before = earlier.objects.get(kind).unwrap_or(&nothing);
            let is_same = |name: &String, object: &Arc<Value>| {
                before.get(name).is_some_and(|before| Arc::ptr_eq(before, object))
            };
            changed.extend(now.iter().filter(|(name, object)| !is_same(name, object)).map(|(_, one)| &**one));
            gone.extend(
                before.keys().filter(|name| !now.contains_key(*name)).map(|name| (*kind, name.clone())),
            );
        }
        (changed, gone)
    }

    /// One object.
    pub fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.get(kind)?.get(name).map(AsRef::as_ref)
    }
}

/// A kind that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Watched {
    api_version: &'static str,
    kind: &'static str,
}

type KindEvent = (Watched, Result<Event<Plain>, watcher::Error>);

/// A stream of changes, folded into a [`Snapshot`].
pub struct View {
    snapshot: Snapshot,
    /// Kinds whose first list has not come yet: nothing may be judged before.
    missing: usize,
    arriving: BTreeMap<&'static str, BTreeMap<String, Arc<Value>>>,
    namespace: String,
    redaction: Redaction,
    /// What came before the Secrets by which it must be redacted; `None` once these have come, or were refused.
    early: Option<Vec<KindEvent>>,
    events: SelectAll<futures::stream::BoxStream<'static, KindEvent>>,
    server: String,
    /// When the first list must have come; and what kept it from coming.
    first_by: Instant,
    kept_by: Option<String>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// The pauses before a lost watch is taken up again: soon, and then every two seconds, so that an API that is back is seen at once.
#[derive(Debug, Default)]
struct Patient {
    tries: u32,
}

impl Iterator for Patient {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.tries = (self.tries + 1).min(4);
        Some(Duration::from_millis(125 << self.tries))
    }
}

impl Backoff for Patient {
    fn reset(&mut self) {
        self.tries = 0;
    }
}

impl Cluster {
    /// Watches the namespace. Dropped connections are taken up again where they were. What pods and the cluster say in objects (messages of a
    /// status, Events) is redacted by the namespace's Secrets, and withheld where these can't be read.
    pub fn view(&self, namespace: &str) -> View {
        let mut events = SelectAll::new();
        let mut missing = 0;
        for &watched @ Watched { api_version, kind } in KINDS.iter().chain([&SECRETS]) {
            let Some(route) = Route::built_in(api_version, kind) else {
                continue;
            };
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let resource = ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                plural: route.plural,
            };
            let api: Api<Plain> = Api::namespaced_with(self.client.clone(), namespace, &resource);
            let config = match watched == SECRETS {
                true => watcher::Config::default().labels(NO_RECORDS),
                false => watcher::Config::default(),
            };
            let stream = watcher::watcher(api, config).backoff(Patient::default());
            events.push(stream.map(move |event| (watched, event)).boxed());
            missing += usize::from(watched != SECRETS);
        }
        View {
            snapshot: Snapshot::default(),
            missing,
            arriving: BTreeMap::new(),
            namespace: namespace.to_owned(),
            redaction: self.redaction.clone(),
            early: Some(Vec::new()),
            events,
            server: self.url().to_owned(),
            first_by: Instant::now() + DEADLINE,
            kept_by: None,
        }
    }
}

impl View {
    /// Waits for the next change and returns what there is to see then. The first answer comes when every kind has
    /// been listed.
    ///
    /// # Errors
    /// When a watch is refused for good, and when nothing was seen within the time that any request has. Once all was seen, a lost
    /// connection is not an error, it is retried.
    pub async fn changed(&mut self) -> Result<&Snapshot, ClusterError> {
        loop {
            let next = if self.missing == 0 {
                self.events.next().await
            } else {
                let next = tokio::time::timeout_at(self.first_by, self.events.next()).await;
                next.map_err(|_| self.unreachable())?
            };
            let (watched, event) = next.ok_or_else(|| self.unreachable())?;
            let mut changed = self.take(watched, event)?;
            // What has come by now is seen at once: many pods change together, and each look costs the same.
            while let Some(Some((watched, event))) = self.events.next().now_or_never() {
                changed |= self.take(watched, event)?;
            }
            if changed && self.missing == 0 {
                return Ok(&self.snapshot);
            }
        }
    }

    fn unreachable(&self) -> ClusterError {
        let silent = || format!("no good answer to watches within {} s", DEADLINE.as_secs());
        ClusterError::Unreachable {
            server: self.server.clone(),
            why: self.kept_by.clone().unwrap_or_else(silent),
        }
    }

    /// What was seen last.
    pub fn latest(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes in what a watch brings; true when there is something new to see.
    fn take(
        &mut self,
        watched: Watched,
        event: Result<Event<Plain>, watcher::Error>,
    ) -> Result<bool, ClusterError> {
        if watched == SECRETS {
            if self.take_secret(event)
                && let Some(early) = self.early.take()
            {
                return early
                    .into_iter()
                    .try_fold(false, |changed, (watched, event)| Ok(self.take(watched, event)? || changed));
            }
            return Ok(false);
        }
        if let Some(early) = &mut self.early {
            early.push((watched, event));
            return Ok(false);
        }
        self.take_object(watched, event)
    }

    /// Whether it is known by now which Secrets there are, or that they can't be read.
    fn take_secret(&mut self, event: Result<Event<Plain>, watcher::Error>) -> bool {
        match event {
            Ok(Event::Init | Event::Delete(_)) => false,
            Ok(Event::InitApply(secret) | Event::Apply(secret)) => {
                self.redaction.hide_secrets([&secret.of_kind(SECRETS.api_version, SECRETS.kind)]);
                false
            }
            Ok(Event::InitDone) => {
                self.redaction.has_read(&self.namespace, [], Instant::now());
                true
            }
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status)))
                if matches!(status.code, 401 | 403) =>
            {
                self.redaction.was_refused(&self.namespace, status.message.clone());
                true
            }
            Err(error) => {
                tracing::debug!(%error, "watch of Secrets interrupted, it will be taken up again");
                self.kept_by = Some(innermost(&error));
                false
            }
        }
    }

    fn take_object(
        &mut self,
        watched: Watched,
        event: Result<Event<Plain>, watcher::Error>,
    ) -> Result<bool, ClusterError> {
        let kind = watched.kind;
        match event {
            Ok(Event::Init) => {
                self.arriving.insert(kind, BTreeMap::new());
                Ok(false)
            }
            Ok(Event::InitApply(object)) => {
                if let Some((name, object)) = watched.named(object, &self.redaction) {
                    self.arriving.entry(kind).or_default().insert(name, object);
                }
                Ok(false)
            }
            Ok(Event::InitDone) => {
                let first = self
                    .snapshot
                    .objects
                    .insert(kind, self.arriving.remove(kind).unwrap_or_default())
                    .is_none();
                self.missing -= usize::from(first && self.missing > 0);
                Ok(true)
            }
            Ok(Event::Apply(object)) => {
                if let Some((name, object)) = watched.named(object, &self.redaction) {
                    self.snapshot.objects.entry(kind).or_default().insert(name, object);
                }
                Ok(true)
            }
            Ok(Event::Delete(object)) => {
                if let Some(name) = object.name() {
                    self.snapshot.objects.entry(kind).or_default().remove(name);
                }
                Ok(true)
            }
            Err(
                watcher::Error::InitialListFailed(kube::Error::Api(status))
                | watcher::Error::WatchStartFailed(kube::Error::Api(status)),
            ) if status.code == 403 && kind == EVENT => {
                tracing::debug!(%status.message, "Events can't be read: causes are told without them");
                let first = self.snapshot.objects.insert(kind, BTreeMap::new()).is_none();
                self.missing -= usize::from(first && self.missing > 0);
                Ok(first)
            }
            Err(
                watcher::Error::InitialListFailed(kube::Error::Api(status))
                | watcher::Error::WatchStartFailed(kube::Error::Api(status)),
            ) if matches!(status.code, 401 | 403) => Err(ClusterError::Refused {
                verb: "watch",
                what: kind.to_owned(),
                code: status.code,
                reason: status.reason.clone(),
                message: status.message.clone(),
            }),
            Err(error) => {
                tracing::debug!(kind, %error, "watch interrupted, it will be taken up again");
                self.kept_by = Some(innermost(&error));
                Ok(false)
            }
        }
    }
}

impl Watched {
    fn named(self, object: Plain, redaction: &Redaction) -> Option<(String, Arc<Value>)> {
        let name = object.name()?.to_owned();
        let mut object = object.of_kind(self.api_version, self.kind);
        redaction.redact_messages(&mut object);
        Some((name, Arc::new(object)))
    }
}
