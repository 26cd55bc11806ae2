//! Compares the bucket with the tables, both ways: objects that no row knows, and rows whose object is gone. It tells, and changes
//! nothing.

use std::collections::BTreeSet;

use honeydue_store::{Store, StoreError as TableError};
use jiff::{SignedDuration, Timestamp};
use skep_storage::StoreError;
use uuid::Uuid;

use crate::{Storage, keys};

/// Younger objects are left out: their rows may still be in the making.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// What does not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Objects that no row knows, the first hundred of them.
    pub unknown: Vec<String>,
    /// How many there are.
    pub unknown_count: u64,
    /// Files without their object, the first hundred of them.
    pub missing: Vec<Uuid>,
    /// How many there are.
    pub missing_count: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Files looked at.
    pub files: u64,
}

/// How many are named of each kind.
const NAMED: usize = 100;

/// Why the two could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The tables could not be asked.
    #[error(transparent)]
    Rows(#[from] TableError),
    /// The bucket could not be asked.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

/// Compares.
///
/// # Errors
/// See [`ReconcileError`].
pub async fn reconcile(
    store: &Store,
    storage: &Storage,
    now: Timestamp,
) -> Result<Difference, ReconcileError> {
    let mut difference = Difference::default();
    for folder in [keys::PENDING, keys::KEPT] {
        let (mut from, mut last) = (None, String::new());
        loop {
            let page = storage.client.versions(folder, from.as_ref()).await?;
            let is_old = |came: Option<Timestamp>| came.is_none_or(|came| now.duration_since(came) > YOUNG);
            let old = page.versions.iter().filter(|one| is_old(one.last_modified));
            // An object may have several versions, all on one page or the last of one and the first of the next.
            let mut objects: Vec<&str> = old.map(|one| one.key.as_str()).collect();
            objects.dedup();
            objects.retain(|key| *key != last);
            difference.objects += objects.len() as u64;
            let ids: BTreeSet<Uuid> =
                objects.iter().filter_map(|key| keys::read(key)).map(|(_, id)| id).collect();
            let known = if folder == keys::PENDING {
                store.known_uploads(&ids).await?
            } else {
                store.known_files(&ids).await?
            };
            for key in &objects {
                if !keys::read(key).is_some_and(|(_, id)| known.contains(&id)) {
                    difference.unknown_count += 1;
                    if difference.unknown.len() < NAMED {
                        difference.unknown.push((*key).to_owned());
                    }
                }
            }
            last = objects.last().map_or(last, |key| (*key).to_owned());
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    let mut after = Uuid::nil();
    loop {
        let files = store.files_after(after).await?;
        let Some(&(_, last)) = files.last() else { return Ok(difference) };
        after = last;
        difference.files += files.len() as u64;
        let mut missing = BTreeSet::new();
        for (owner, id) in files {
            if storage.client.look(&keys::kept(owner, id), 1).await?.is_none() {
                missing.insert(id);
            }
        }
        if !missing.is_empty() {
            // What was deleted while we looked has not lost anything.
            let missing = store.files_in_use(&missing).await?;
            difference.missing_count += missing.len() as u64;
            difference.missing.extend(missing);
            difference.missing.truncate(NAMED);
        }
    }
}
