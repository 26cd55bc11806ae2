//! Where objects live: in memory, under one counter of versions, with the latest changes kept for watchers.
//!
//! A change is visible to readers and watchers at once; [`Store::commit`] hands back what tells when it is on disk, so
//! that a writer is answered only then. Rules about what may be written are not here: see [`crate::resources`].

mod disk;
mod news;
mod ring;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::Value;

use disk::Disk;
pub use disk::StoreError;
pub(crate) use disk::Synced;
use news::News;
pub(crate) use news::Subscription;
use ring::Ring;
pub(crate) use ring::{Change, Verb};

use crate::kind::{Key, Kind};
use crate::meta;

/// Objects of one kind by namespace (empty for none) and name.
type Objects = BTreeMap<(String, String), Arc<Value>>;

/// All objects and the latest changes.
#[derive(Debug)]
pub(crate) struct Store {
    state: RwLock<State>,
    /// Held from reading an object to writing its successor. Never across an await.
    writer: Mutex<()>,
    news: News,
    disk: Option<Disk>,
}

#[derive(Debug)]
struct State {
    objects: HashMap<Kind, Objects>,
    version: u64,
    ring: Ring,
}

/// What a commit does to an object.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Put this in place.
    Put(Value),
    /// Take it away; this is its last state.
    Remove(Value),
}

/// The right to write: one at a time.
pub(crate) type Turn<'a> = MutexGuard<'a, ()>;

impl Store {
    /// A store without a file: gone with the process.
    pub(crate) fn ephemeral() -> Self {
        Self::new(HashMap::new(), 1, None)
    }

    /// A store kept in a file, with what the file holds.
    pub(crate) fn open(path: &Path, kind_of: &dyn Fn(&Value) -> Option<Kind>) -> Result<Self, StoreError> {
        let (disk, loaded) = Disk::open(path)?;
        let mut objects: HashMap<Kind, Objects> = HashMap::new();
        for object in loaded.objects {
            let kind = kind_of(&object).ok_or_else(|| StoreError::UnknownKind {
                path: path.to_owned(),
                kind: meta::text(&object, "/kind").unwrap_or_default().to_owned(),
            })?;
            let place = place(meta::namespace(&object), meta::name(&object));
            objects.entry(kind).or_default().insert(place, Arc::new(object));
        }
        Ok(Self::new(objects, loaded.version, Some(disk)))
    }

    fn new(objects: HashMap<Kind, Objects>, version: u64, disk: Option<Disk>) -> Self {
        let state = State { objects, version, ring: Ring::starting_at(version) };
        Self { state: RwLock::new(state), writer: Mutex::new(()), news: News::starting_at(version), disk }
    }

    /// Waits for the right to write. Must not be held across an await.
    pub(crate) fn turn(&self) -> Turn<'_> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the latest change.
    pub(crate) fn version(&self) -> u64 {
        self.read(|state| state.version)
    }

    /// One object.
    pub(crate) fn get(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        self.read(|state| state.objects.get(&kind)?.get(&place(namespace, name)).cloned())
    }

    /// All objects of a kind, of one namespace or of all, in order of name, and the version that this is a picture of.
    pub(crate) fn list(&self, kind: Kind, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        self.read(|state| (state.list(kind, namespace), state.version))
    }

    /// All objects of a kind as they were at a version: the changes since then are taken back. `Err(oldest)`: they are
    /// not all kept any more.
    pub(crate) fn list_at(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<Arc<Value>>, u64> {
        self.read(|state| {
            if version > state.version {
                return Err(state.version);
            }
            let wanted = |object: &&Arc<Value>| namespace.is_none_or(|n| meta::namespace(object) == Some(n));
            let mut objects = state.objects.get(&kind).cloned().unwrap_or_default();
            let changes: Vec<&Arc<Change>> = state.ring.since(version)?.collect();
            for change in changes.iter().rev().filter(|change| change.key.kind == kind) {
                let place = place(change.key.namespace.as_deref(), &change.key.name);
                match &change.previous {
                    Some(previous) => _ = objects.insert(place, previous.clone()),
                    None => _ = objects.remove(&place),
                }
            }
            Ok(objects.values().filter(wanted).cloned().collect())
        })
    }

    /// Tells the version of each change.
    pub(crate) fn subscribe(&self) -> Subscription {
        self.news.subscribe()
    }

    /// The changes after `version` that concern a kind (and namespace), with the version up to which this is complete.
    /// `Err(oldest)`: they are not all kept any more.
    pub(crate) fn changes_since(
        &self,
        version: u64,
        kind: Kind,
        namespace: Option<&str>,
    ) -> Result<(Vec<Arc<Change>>, u64), u64> {
        self.read(|state| {
            let changes = state.ring.since(version)?;
            let wanted = |change: &&Arc<Change>| {
                change.key.kind == kind
                    && namespace.is_none_or(|n| change.key.namespace.as_deref() == Some(n))
            };
            Ok((changes.filter(wanted).cloned().collect(), state.version))
        })
    }

    /// Writes. The caller holds the turn since it read what it changes. `eager`: acknowledge only when on disk.
    pub(crate) fn commit(
        &self,
        _turn: &Turn<'_>,
        key: Key,
        effect: Effect,
        eager: bool,
    ) -> (Arc<Value>, Synced) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.version += 1;
        let version = state.version;
        let stamp = |mut object: Value| {
            meta::set(&mut object, "resourceVersion", Some(Value::from(version.to_string())));
            Arc::new(object)
        };
        let place = place(key.namespace.as_deref(), &key.name);
        let objects = state.objects.entry(key.kind).or_default();
        let (object, previous, verb, kept) = match effect {
            Effect::Put(object) => {
                let object = stamp(object);
                let previous = objects.insert(place, object.clone());
                let verb = if previous.is_some() { Verb::Modified } else { Verb::Added };
                (object.clone(), previous, verb, Some(object))
            }
            Effect::Remove(object) => (stamp(object), objects.remove(&place), Verb::Deleted, None),
        };
        let synced = match &self.disk {
            Some(disk) => disk.write(version, &key, kept, eager),
            None => Synced::already(),
        };
        state.ring.push(Change { version, key, verb, object: object.clone(), previous });
        drop(state);
        self.news.tell(version);
        (object, synced)
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let Some(objects) = self.objects.get(&kind) else {
            return Vec::new();
        };
        match namespace {
            None => objects.values().cloned().collect(),
            Some(namespace) => objects
                .range((namespace.to_owned(), String::new())..)
                .take_while(|((n, _), _)| n == namespace)
                .map(|(_, object)| object.clone())
                .collect(),
        }
    }
}

fn place(namespace: Option<&str>, name: &str) -> (String, String) {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}
