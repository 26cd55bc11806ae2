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
        let mut from = None;
        loop {
            let page = storage.client.versions(folder, from.as_ref()).await?;
            let is_old = |came: Option<Timestamp>| came.is_none_or(|came| now.duration_since(came) > YOUNG);
            let objects: Vec<_> = page.versions.iter().filter(|one| is_old(one.last_modified)).collect();
            difference.objects += objects.len() as u64;
            let ids: BTreeSet<Uuid> =
                objects.iter().filter_map(|one| keys::read(&one.key)).map(|(_, id)| id).collect();
            let known = if folder == keys::PENDING {
                store.known_uploads(&ids).await?
            } else {
                store.known_files(&ids).await?
            };
            for object in objects {
                if !keys::read(&object.key).is_some_and(|(_, id)| known.contains(&id)) {
                    difference.unknown_count += 1;
                    if difference.unknown.len() < NAMED && difference.unknown.last() != Some(&object.key) {
                        difference.unknown.push(object.key.clone());
                    }
                }
            }
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
        for (owner, id) in files {
            if storage.client.look(&keys::kept(owner, id), 1).await?.is_none() {
                difference.missing_count += 1;
                if difference.missing.len() < NAMED {
                    difference.missing.push(id);
                }
            }
        }
    }
}
