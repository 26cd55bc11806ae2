//! Forgets people: every version of every object of theirs, sent or kept. The order is a row, which outlives crashes and a store that is
//! down; it is done when, after all that was ever signed for them has died, their folders are found empty.

use honeydue_store::{Store, StoreError as TableError};
use skep_storage::{NotDeleted, StoreError};

use crate::{Storage, keys};

/// What one round of erasing has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// People of whom nothing is left, for good.
    pub finished: u64,
    /// People who need another round.
    pub open: u64,
    /// Versions deleted.
    pub versions: u64,
}

/// Goes through all open orders once.
///
/// # Errors
/// The tables' failure. The bucket's is noted with the order.
pub async fn erase(store: &Store, storage: &Storage) -> Result<Erased, TableError> {
    let mut erased = Erased::default();
    for order in store.open_erasures().await? {
        let mut versions = 0;
        let error = match empty(storage, order.user, &mut versions).await {
            Ok(kept) => kept.into_iter().next().map(|one| one.why).unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        store.note_erasure(order.user, versions, &error).await?;
        erased.versions += versions;
        // What was deleted in this very round may have come after the moment at which it was looked for: only an empty bucket is proof.
        let is_empty = error.is_empty() && versions == 0;
        if order.is_quiet && is_empty {
            store.finish_erasure(order.user).await?;
            tracing::info!(user = order.user, "a person's objects are erased");
            erased.finished += 1;
        } else {
            erased.open += 1;
        }
    }
    Ok(erased)
}

/// Deletes what there is of a person; `versions` counts along, however it ends. Answers what the store would not delete.
async fn empty(storage: &Storage, user: i64, versions: &mut u64) -> Result<Vec<NotDeleted>, StoreError> {
    let mut kept = Vec::new();
    for folder in keys::folders(user) {
        let refused = storage.client.delete_folder(&folder, |gone| *versions += gone as u64).await?;
        kept.extend(refused);
    }
    Ok(kept)
}
