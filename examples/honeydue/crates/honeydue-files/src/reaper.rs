//! Removes what nobody keeps: uploads that were not attached in time, what is left of those that were, and files that belong to nothing.
//!
//! Batch by batch: the rows of one are claimed, their objects deleted in every version, and then the rows of those that are gone. Killed
//! anywhere, the next run finds the batch once its claim is old, and does it again.

use honeydue_store::{
    Store, StoreError as TableError,
    uploads::{ReapBatch, Reaped, ReaperRun},
};
use skep_storage::{NotDeleted, StoreError};
use uuid::Uuid;

use crate::{Storage, keys};

/// Rows of one batch.
const BATCH: i64 = 500;

/// Why a run ended early. What it has done stays done.
#[derive(Debug, thiserror::Error)]
pub enum ReapError {
    /// The tables could not be asked.
    #[error(transparent)]
    Rows(#[from] TableError),
    /// The bucket could not be asked.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

/// Removes everything that is to go by now. `said` hears of each batch.
///
/// # Errors
/// See [`ReapError`].
pub async fn reap(
    store: &Store,
    storage: &Storage,
    mut said: impl FnMut(Reaped),
) -> Result<Reaped, ReapError> {
    store.free_dead_claims().await?;
    let run = store.open_reaper_run().await?;
    let mut all = Reaped::default();
    let outcome = async {
        loop {
            let expired = store.expired_uploads(run, BATCH).await?;
            if expired.uploads.is_empty() {
                break;
            }
            // Both: an attaching that died may have left a copy.
            let both = |&(user, id): &(i64, Uuid)| [keys::pending(user, id), keys::kept(user, id)];
            let count = |rows| Reaped { reaped: rows, ..Reaped::default() };
            let done = close(store, storage, &expired, both, count).await?;
            step(store, run, &mut all, done, &mut said).await?;
        }
        loop {
            let left = store.left_over_uploads(run, BATCH).await?;
            if left.uploads.is_empty() {
                break;
            }
            let sent = |&(user, id): &(i64, Uuid)| [keys::pending(user, id)];
            let count = |rows| Reaped { cleared: rows, ..Reaped::default() };
            let done = close(store, storage, &left, sent, count).await?;
            step(store, run, &mut all, done, &mut said).await?;
        }
        let mut after = Uuid::nil();
        loop {
            let orphans = store.orphaned_files(BATCH, after).await?;
            let Some(&(_, last)) = orphans.last() else { break };
            after = last;
            let keys: Vec<String> = orphans.iter().map(|&(user, id)| keys::kept(user, id)).collect();
            let (versions, kept) = storage.client.delete_objects(&keys).await?;
            let gone = gone(&orphans, &kept);
            let orphaned = store.forget_files(&gone).await?;
            let refused = (orphans.len() - gone.len()) as u64;
            let done = Reaped { orphaned, refused, versions: versions as u64, ..Reaped::default() };
            step(store, run, &mut all, done, &mut said).await?;
        }
        Ok(())
    };
    let outcome: Result<(), ReapError> = outcome.await;
    store.note_reaper_run(run, all, outcome.is_ok()).await?;
    outcome.map(|()| all)
}

/// Adds a batch to what was done, and tells it.
async fn step(
    store: &Store,
    run: ReaperRun,
    all: &mut Reaped,
    done: Reaped,
    said: &mut impl FnMut(Reaped),
) -> Result<(), TableError> {
    *all += done;
    said(done);
    store.note_reaper_run(run, *all, false).await
}

/// Deletes a batch's objects, and then the rows of those that are gone.
async fn close<const N: usize>(
    store: &Store,
    storage: &Storage,
    batch: &ReapBatch,
    keys: impl Fn(&(i64, Uuid)) -> [String; N],
    count: impl Fn(u64) -> Reaped,
) -> Result<Reaped, ReapError> {
    let keys: Vec<String> = batch.uploads.iter().flat_map(keys).collect();
    let deleted = storage.client.delete_objects(&keys).await;
    let (versions, kept) = match deleted {
        Ok(deleted) => deleted,
        Err(error) => {
            // For the next run, and not only when the claim is old.
            store.close_batch(batch, &[]).await?;
            return Err(error.into());
        }
    };
    let gone = gone(&batch.uploads, &kept);
    let rows = store.close_batch(batch, &gone).await?;
    let refused = (batch.uploads.len() - gone.len()) as u64;
    Ok(Reaped { refused, versions: versions as u64, ..count(rows) })
}

/// Of which rows everything is gone. What the store keeps is told.
fn gone(rows: &[(i64, Uuid)], kept: &[NotDeleted]) -> Vec<Uuid> {
    for NotDeleted { key, why } in kept {
        tracing::warn!(key, why, "the store would not delete an object");
    }
    let is_kept =
        |id: Uuid| kept.iter().any(|one| keys::read(&one.key).is_some_and(|(_, other)| other == id));
    rows.iter().map(|(_, id)| *id).filter(|id| !is_kept(*id)).collect()
}
