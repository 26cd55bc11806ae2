//! Watches over HTTP: one JSON object a line.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::answer::Asked;
use super::body::{self, Answer};
use super::read::stored;
use super::view::View;
use crate::kind::Kind;
use crate::selector::Selector;
use crate::status::{Cause, Status};
use crate::store::{Change, Store, Subscription, Verb};

/// How long a watch lasts when the client does not say.
const DEFAULT_TIMEOUT: u64 = 30 * 60;
/// How often a client that asked for it is told the version, though nothing happens.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// One client's watch.
struct Stream {
    store: Arc<Store>,
    kind: Kind,
    namespace: Option<String>,
    selector: Selector,
    view: View,
    /// Everything up to here has been told.
    version: u64,
    ready: VecDeque<Bytes>,
    news: Subscription,
    bookmarks: Option<Interval>,
    deadline: Instant,
    ending: CancellationToken,
    /// Whether a table's columns were told.
    head_sent: bool,
    over: bool,
}

pub(super) fn watch(
    context: &Context,
    kind: Kind,
    namespace: Option<&str>,
    asked: &Asked,
) -> Result<Answer, Status> {
    let query = &asked.query;
    let initial = check_initial(asked)?;
    let bookmarks = query.is("allowWatchBookmarks");
    let seconds = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_TIMEOUT);
    let store = context.resources.store.clone();
    let mut stream = Stream {
        kind,
        namespace: namespace.map(str::to_owned),
        selector: Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?,
        view: View::of(&asked.headers, query.get("includeObject")),
        version: 0,
        ready: VecDeque::new(),
        news: store.subscribe(),
        bookmarks: bookmarks.then(ticking),
        deadline: Instant::now() + Duration::from_secs(seconds.min(24 * 3600)),
        ending: context.ending.clone(),
        head_sent: false,
        over: false,
        store,
    };
    match (query.version()?, initial) {
        // `0`: any state will do. The latest is as cheap as any.
        (None | Some(0), None) | (_, Some(true)) => stream.begin_with_all(initial == Some(true)),
        (None | Some(0), Some(false)) => stream.version = stream.store.version(),
        (Some(version), _) if version > stream.store.version() => {
            // Handed out by another life of an ephemeral store: only a new list helps.
            stream.fail(&Status::expired(version, stream.store.version()));
        }
        (Some(version), _) => stream.version = version,
    }
    let lines = futures::stream::unfold(stream, |mut stream| async move {
        let line = stream.next().await?;
        Some((Ok::<_, io::Error>(line), stream))
    });
    Ok(body::streaming("application/json", lines.boxed()))
}

fn ticking() -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + BOOKMARKS, BOOKMARKS);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// `sendInitialEvents`, which goes with two other parameters.
fn check_initial(asked: &Asked) -> Result<Option<bool>, Status> {
    let query = &asked.query;
    let wrong = |field: &str, message: &str| {
        Status::invalid(
            "ListOptions.meta.k8s.io",
            "",
            vec![Cause {
                reason: "FieldValueForbidden",
                message: format!("Forbidden: {message}"),
                field: field.to_owned(),
            }],
        )
    };
    let matching = query.get("resourceVersionMatch");
    if query.get("sendInitialEvents").is_empty() {
        if !matching.is_empty() {
            return Err(wrong(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        return Ok(None);
    }
    if matching != "NotOlderThan" {
        let message = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(wrong("resourceVersionMatch", message));
    }
    let initial = query.is("sendInitialEvents");
    if initial && !query.is("allowWatchBookmarks") {
        return Err(wrong(
            "allowWatchBookmarks",
            "sendInitialEvents requires setting allowWatchBookmarks to true",
        ));
    }
    Ok(Some(initial))
}

impl Stream {
    /// Tells everything that exists; `mark`: and that this was all.
    fn begin_with_all(&mut self, mark: bool) {
        let (objects, version) = self.store.list(stored(self.kind), self.namespace.as_deref());
        self.version = version;
        for object in
            objects.iter().filter(|object| self.selector.matches(object)).cloned().collect::<Vec<_>>()
        {
            self.tell("ADDED", &object);
        }
        if mark {
            self.bookmark(true);
        }
    }

    /// The next line. None when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            self.news.catch_up();
            match self.store.changes_since(self.version, stored(self.kind), self.namespace.as_deref()) {
                Ok((changes, version)) => {
                    changes.iter().for_each(|change| self.take(change));
                    self.version = version;
                }
                Err(oldest) => self.fail(&Status::expired(self.version, oldest)),
            }
            if !self.ready.is_empty() {
                continue;
            }
            let tick = async {
                match &mut self.bookmarks {
                    Some(interval) => _ = interval.tick().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.ending.cancelled() => self.over = true,
                () = self.news.changed() => {}
                () = tokio::time::sleep_until(self.deadline) => {
                    self.over = true;
                    if self.bookmarks.is_some() {
                        self.bookmark(false);
                    }
                }
                () = tick => self.bookmark(false),
            }
        }
    }

    /// Tells a change as it looks through the selector: an object that matches no more is deleted to this client.
    fn take(&mut self, change: &Change) {
        let now = change.verb != Verb::Deleted && self.selector.matches(&change.object);
        let before = change.previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        match (before, now) {
            (false, true) => self.tell("ADDED", &change.object),
            (true, true) => self.tell("MODIFIED", &change.object),
            (true, false) => self.tell("DELETED", &change.object),
            (false, false) => {}
        }
    }

    fn tell(&mut self, event: &str, object: &Arc<Value>) {
        let first = !std::mem::replace(&mut self.head_sent, true);
        let object = match self.view {
            // Serialised from where it is, not copied first.
            View::Whole if self.kind != Kind::EVENT_V1 => object.to_string(),
            view => view.object(self.kind, object, first).to_string(),
        };
        self.line(event, &object);
    }

    fn bookmark(&mut self, initial_events_end: bool) {
        let mut metadata = json!({"resourceVersion": self.version.to_string(), "creationTimestamp": null});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match self.view {
            View::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            _ => (self.kind.name(), self.kind.api_version()),
        };
        let bookmark = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        let object = match self.view {
            View::Table(_) => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [],
                "metadata": {"resourceVersion": self.version.to_string()}, "rows": [{"cells": [], "object": bookmark}],
            }),
            _ => bookmark,
        };
        self.line("BOOKMARK", &object.to_string());
    }

    fn fail(&mut self, status: &Status) {
        self.over = true;
        self.line("ERROR", &status.to_value().to_string());
    }

    fn line(&mut self, event: &str, object: &str) {
        self.ready.push_back(Bytes::from(format!("{{\"type\":\"{event}\",\"object\":{object}}}\n")));
    }
}
