//! From sent to kept: the rows are claimed, what lies in the bucket is looked at and copied to where it stays, and one transaction makes
//! the rest. A form can be used again, so other bytes may come at any time: the copy is made of what was seen, and judged once more.

use std::collections::BTreeSet;

use futures::future::join_all;
use honeydue_store::{
    Store,
    uploads::{Attached, Claim, Claimed, NotAttached, Target, Upload},
};
use skep_storage::{Copied, FIRST_BYTES, FileKind, Seen, StoreError};
use uuid::Uuid;

use crate::{Storage, keys};

/// Why nothing was attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// By what the tables say.
    #[error(transparent)]
    Rows(#[from] NotAttached),
    /// By what was sent.
    #[error("upload {id}: {wrong}")]
    Sent {
        /// Which.
        id: Uuid,
        /// What is wrong with it.
        wrong: Wrong,
    },
    /// The store could not answer. Nothing has changed: the same request may be sent again.
    #[error("the store could not be asked")]
    Storage(#[source] StoreError),
}

/// What is wrong with an object that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Nothing is there.
    #[error("nothing was sent yet")]
    Missing,
    /// It has another size.
    #[error("its size is not the one that was promised")]
    Size,
    /// It has another type.
    #[error("its content type is not the one that was promised")]
    ContentType,
    /// Its first bytes are those of something else.
    #[error("it is not what its content type says")]
    Content,
    /// Its bytes are others.
    #[error("its SHA-256 is not the one that was promised")]
    Checksum,
    /// Other bytes came while it was looked at.
    #[error("it was sent again while it was being attached")]
    Changed,
}

/// Attaches a person's uploads: all of them, once, or none. The same request again has the same answer.
///
/// # Errors
/// See [`AttachError`].
pub async fn attach(
    store: &Store,
    storage: &Storage,
    user: i64,
    target: &Target,
    ids: &BTreeSet<Uuid>,
) -> Result<Attached, AttachError> {
    let (claim, uploads) = match store.claim_uploads(user, target, ids).await? {
        Claimed::Before(attached) => return Ok(attached),
        Claimed::Ours(claim, uploads) => (claim, uploads),
    };
    let attached = async {
        if !store.has_target(user, target).await.map_err(NotAttached::Store)? {
            return Err(NotAttached::NoTarget.into());
        }
        // All are looked at before any is copied: a list with one that was never sent costs the store nothing.
        let mut looks = Vec::new();
        for upload in &uploads {
            let key = keys::pending(user, upload.id);
            looks.push(async move { look(storage, &key, upload).await });
        }
        let seen = join_all(looks).await.into_iter().collect::<Result<Vec<Seen>, AttachError>>()?;
        let mut copies = Vec::new();
        for (upload, seen) in uploads.iter().zip(seen) {
            copies.push(keep(storage, user, upload, seen));
        }
        join_all(copies).await.into_iter().collect::<Result<Vec<()>, AttachError>>()?;
        Ok(store.attach_uploads(user, target, Some(claim), &uploads).await?)
    };
    match attached.await {
        Ok(attached) => {
            // Kept by now. If this fails, or we die, the reaper does it once the form is dead, and does it again in any case.
            let sent: Vec<String> = ids.iter().map(|id| keys::pending(user, *id)).collect();
            let storage = storage.clone();
            tokio::spawn(async move {
                if let Err(error) = storage.client.delete_objects(&sent).await {
                    tracing::warn!(%error, "what was copied is still where it was sent to; the reaper will remove it");
                }
            });
            Ok(attached)
        }
        Err(error) => {
            give_up(store, claim).await;
            if let AttachError::Sent { id, wrong: Wrong::Checksum } = &error {
                // They were read to the end once. Sent again they are looked at again; asked for again they are not.
                drop(storage.client.delete_objects(&[keys::pending(user, *id)]).await);
            }
            Err(error)
        }
    }
}

/// Gives the rows back. Copies that were made already stay for the next try, or for the reaper, which removes both. Those of a person who is
/// gone go with the rest of them.
async fn give_up(store: &Store, claim: Claim) {
    for again in [true, true, false] {
        match store.unclaim_uploads(claim).await {
            Ok(()) => return,
            // A database that was started again has ended more than one connection.
            Err(_) if again => {}
            Err(error) => {
                tracing::warn!(%error, "uploads are still claimed; they are free again in five minutes");
            }
        }
    }
}

/// Looks at one object: whether it is what was promised, as far as its first bytes tell.
async fn look(storage: &Storage, key: &str, upload: &Upload) -> Result<Seen, AttachError> {
    let wrong = |wrong| AttachError::Sent { id: upload.id, wrong };
    let seen = storage.client.look(key, FIRST_BYTES).await.map_err(AttachError::Storage)?;
    let seen = seen.ok_or_else(|| wrong(Wrong::Missing))?;
    if seen.size != upload.content_length {
        return Err(wrong(Wrong::Size));
    }
    if seen.content_type != upload.content_type {
        return Err(wrong(Wrong::ContentType));
    }
    if !FileKind::of(&seen.first).is_some_and(|kind| kind.is_named(&upload.content_type)) {
        return Err(wrong(Wrong::Content));
    }
    Ok(seen)
}

/// Copies the bytes that were seen to where they stay, and judges the copy, which no form can write.
async fn keep(storage: &Storage, user: i64, upload: &Upload, seen: Seen) -> Result<(), AttachError> {
    let wrong = |wrong| AttachError::Sent { id: upload.id, wrong };
    let kept = keys::kept(user, upload.id);
    let copied = storage.client.copy(&keys::pending(user, upload.id), &seen.etag, &kept).await;
    match copied.map_err(AttachError::Storage)? {
        Copied::Done => {}
        Copied::Changed => return Err(wrong(Wrong::Changed)),
        Copied::Gone => return Err(wrong(Wrong::Missing)),
    }
    let copy = look(storage, &kept, upload).await?;
    if let Some(promised) = upload.sha256 {
        let found = storage.client.sha256(&kept, &copy.etag).await.map_err(AttachError::Storage)?;
        if found != Some(promised) {
            return Err(wrong(Wrong::Checksum));
        }
    }
    Ok(())
}
