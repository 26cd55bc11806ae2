//! The in-process watch: first what exists, then every change, without gaps.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use crate::kind::Kind;
use crate::meta;
use crate::store::{Change, Store, Subscription, Verb};

/// One thing that a watcher learns.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// The object is new, to this watcher at least.
    Added(Arc<Value>),
    /// The object has changed.
    Modified(Arc<Value>),
    /// The object is gone; this is its last state.
    Deleted(Arc<Value>),
}

/// A watch on one kind, in one namespace or in all.
#[derive(Debug)]
pub struct Watch {
    store: Arc<Store>,
    kind: Kind,
    namespace: Option<String>,
    version: u64,
    ready: VecDeque<WatchEvent>,
    news: Subscription,
    /// What the watcher believes to exist: lets it catch up when it has fallen further behind than changes are kept.
    known: BTreeMap<(String, String), Arc<Value>>,
}

impl WatchEvent {
    /// The object, whatever happened to it.
    #[must_use]
    pub fn object(&self) -> &Arc<Value> {
        match self {
            Self::Added(object) | Self::Modified(object) | Self::Deleted(object) => object,
        }
    }
}

impl Watch {
    pub(crate) fn new(store: Arc<Store>, kind: Kind, namespace: Option<&str>) -> Self {
        let news = store.subscribe();
        let mut watch = Self {
            store,
            kind,
            namespace: namespace.map(str::to_owned),
            version: 0,
            ready: VecDeque::new(),
            news,
            known: BTreeMap::new(),
        };
        watch.catch_up();
        watch
    }

    /// The next event. `None` when the store is gone.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Marked as seen before looking, so that a change in between wakes the wait below.
            self.news.catch_up();
            match self.store.changes_since(self.version, self.kind, self.namespace.as_deref()) {
                Ok((changes, version)) => {
                    self.version = version;
                    changes.iter().for_each(|change| self.take(change));
                }
                Err(_) => self.catch_up(),
            }
            if self.ready.is_empty() {
                self.news.changed().await;
            }
        }
    }

    fn take(&mut self, change: &Change) {
        let name = (change.key.namespace.clone().unwrap_or_default(), change.key.name.clone());
        let object = change.object.clone();
        let event = match change.verb {
            Verb::Deleted => {
                self.known.remove(&name);
                WatchEvent::Deleted(object)
            }
            Verb::Added => {
                self.known.insert(name, object.clone());
                WatchEvent::Added(object)
            }
            Verb::Modified => {
                self.known.insert(name, object.clone());
                WatchEvent::Modified(object)
            }
        };
        self.ready.push_back(event);
    }

    /// Lists, and tells the difference to what was known.
    fn catch_up(&mut self) {
        let (objects, version) = self.store.list(self.kind, self.namespace.as_deref());
        self.version = version;
        let mut gone = std::mem::take(&mut self.known);
        for object in objects {
            let name =
                (meta::namespace(&object).unwrap_or_default().to_owned(), meta::name(&object).to_owned());
            match gone.remove(&name) {
                Some(before) if meta::uid(&before) == meta::uid(&object) => {
                    if before != object {
                        self.ready.push_back(WatchEvent::Modified(object.clone()));
                    }
                }
                Some(before) => {
                    self.ready.push_back(WatchEvent::Deleted(before));
                    self.ready.push_back(WatchEvent::Added(object.clone()));
                }
                None => self.ready.push_back(WatchEvent::Added(object.clone())),
            }
            self.known.insert(name, object);
        }
        self.ready.extend(gone.into_values().map(WatchEvent::Deleted));
    }
}
