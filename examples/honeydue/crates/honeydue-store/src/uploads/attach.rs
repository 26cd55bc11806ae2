//! From sent to kept. The rows are claimed first, and committed; what the bucket has to say comes between; then one transaction makes
//! what they are attached to, the file rows, and `attached`. Killed anywhere, nothing is lost: an old claim is anybody's.

use std::collections::{BTreeMap, BTreeSet};

use honeydue_model::{Category, Completion, Document, NewCompletion, NewDocument};
use jiff::civil::Date;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

use super::{CLAIM_LIVES, Claim, files::id, texts};
use crate::{Store, StoreError, query::query};

/// What uploads are attached to.
#[derive(Debug, Clone)]
pub enum Target {
    /// That a task was done on a day.
    Completion(NewCompletion, Date),
    /// A document.
    Document(NewDocument),
}

impl Target {
    /// The category that its uploads must have.
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Completion(..) => Category::TaskCompletion,
            Self::Document(_) => Category::Document,
        }
    }
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// A completion.
    Completion(Completion),
    /// A document.
    Document(Document),
}

/// An upload as it was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id, which its keys are made of.
    pub id: Uuid,
    /// To the letter.
    pub content_type: String,
    /// To the byte.
    pub content_length: u64,
    /// If the client promised it.
    pub sha256: Option<[u8; 32]>,
}

/// How claiming ended, when it ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// They are this request's until the claim is too old.
    Ours(Claim, Vec<Upload>),
    /// This very request was answered before: this is the answer.
    Before(Attached),
}

/// Why uploads are not attached. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum NotAttached {
    /// There is no such upload, or it is somebody else's: the two are not told apart.
    #[error("upload {0} is unknown")]
    Unknown(Uuid),
    /// It was opened for something else.
    #[error("upload {0} is of another category")]
    Category(Uuid),
    /// It was not attached in time.
    #[error("upload {0} has expired")]
    Expired(Uuid),
    /// Another request has it in hand.
    #[error("upload {0} is being attached")]
    InHand(Uuid),
    /// It belongs to something else already.
    #[error("upload {0} is attached already")]
    Taken(Uuid),
    /// What it is to be attached to is not there, or is somebody else's.
    #[error("there is nothing to attach to")]
    NoTarget,
    /// The person is gone.
    #[error("there is no such person")]
    Nobody,
    /// It took so long that the claim is somebody else's.
    #[error("the claim was lost")]
    Lost,
    /// The database's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for NotAttached {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Claims these uploads of a person, all or none.
    ///
    /// # Errors
    /// See [`NotAttached`].
    pub async fn claim_uploads(
        &self,
        user: i64,
        target: &Target,
        ids: &BTreeSet<Uuid>,
    ) -> Result<Claimed, NotAttached> {
        let wanted: Vec<Uuid> = ids.iter().copied().collect();
        let mut transaction = self.pool.begin().await?;
        // In one order, so that two requests for the same ones never wait for each other.
        let rows = query(
            "select id::text as id, category, content_type, content_length, sha256, state, \
                 expires_at <= now() as expired, state_since < now() - make_interval(secs => $3) as stale \
             from pending_uploads where user_id = $1 and id = any($2::text[]::uuid[]) order by id for update",
        )
        .bind(user)
        .bind(texts(&wanted))
        .bind(CLAIM_LIVES.as_secs_f64())
        .fetch_all(&mut *transaction)
        .await?;
        if let Some(before) = attached_before(&mut transaction, user, target, ids).await? {
            return Ok(Claimed::Before(before));
        }
        let mut found: BTreeMap<Uuid, PgRow> = BTreeMap::new();
        for row in rows {
            found.insert(id(&row)?, row);
        }
        let mut uploads = Vec::new();
        for id in wanted {
            let Some(row) = found.get(&id) else {
                return Err(self.missing(&mut transaction, user, id).await?);
            };
            uploads.push(claimable(id, row, target.category())?);
        }
        let claim = Claim::new();
        query(
            "update pending_uploads set state = 'attaching', state_since = now(), claim = $2::text::uuid \
             where id = any($1::text[]::uuid[])",
        )
        .bind(ids.iter().map(Uuid::to_string).collect::<Vec<_>>())
        .bind(claim.text())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Claimed::Ours(claim, uploads))
    }

    /// One whose row is gone was attached, or never was.
    async fn missing(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        user: i64,
        id: Uuid,
    ) -> Result<NotAttached, StoreError> {
        let row = query("select 1 from files where owner_id = $1 and id = $2::text::uuid")
            .bind(user)
            .bind(id.to_string())
            .fetch_optional(&mut **transaction)
            .await?;
        Ok(if row.is_some() { NotAttached::Taken(id) } else { NotAttached::Unknown(id) })
    }

    /// Gives claimed uploads back.
    ///
    /// # Errors
    /// The database's failure; they are free again once the claim is old.
    pub async fn unclaim_uploads(&self, claim: Claim) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        query(
            "update pending_uploads set state = 'pending', state_since = now(), claim = null \
             where id in (select id from pending_uploads where claim = $1::text::uuid and state = 'attaching' order by id for update)",
        )
        .bind(claim.text())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Makes the target with these uploads, whose bytes are where they stay. All of it, or nothing.
    ///
    /// # Errors
    /// See [`NotAttached`].
    pub async fn attach_uploads(
        &self,
        user: i64,
        target: &Target,
        claim: Option<Claim>,
        uploads: &[Upload],
    ) -> Result<Attached, NotAttached> {
        let mut transaction = self.pool.begin().await?;
        // Whoever deletes the person waits for this, or has gone first.
        let there = query("select 1 from users where id = $1 for no key update")
            .bind(user)
            .fetch_optional(&mut *transaction)
            .await?;
        if there.is_none() {
            return Err(NotAttached::Nobody);
        }
        if let Some(claim) = claim {
            let ours = query(
                "update pending_uploads set state = 'attached', state_since = now(), claim = null \
                 where id in (select id from pending_uploads where claim = $1::text::uuid and state = 'attaching' order by id for update)",
            )
            .bind(claim.text())
            .execute(&mut *transaction)
            .await?;
            if ours.rows_affected() != uploads.len() as u64 {
                return Err(NotAttached::Lost);
            }
        }
        let (completion, document) = match target {
            Target::Completion(new, today) => {
                let done = crate::tasks::complete_in(&mut transaction, user, new.task_id, *today).await?;
                (Some(done.ok_or(NotAttached::NoTarget)?), None)
            }
            Target::Document(new) => {
                let row = query(
                    "insert into documents (residence_id, title) \
                     select id, $3 from residences where owner_id = $1 and id = $2 returning id",
                )
                .bind(user)
                .bind(new.residence_id)
                .bind(new.title.trim())
                .fetch_optional(&mut *transaction)
                .await?;
                let row = row.ok_or(NotAttached::NoTarget)?;
                (None, Some(row.try_get::<i64, _>("id")?))
            }
        };
        for upload in uploads {
            query(
                "insert into files (id, owner_id, content_type, content_length, completion_id, document_id) \
                 values ($1::text::uuid, $2, $3, $4, $5, $6)",
            )
            .bind(upload.id.to_string())
            .bind(user)
            .bind(&upload.content_type)
            .bind(i64::try_from(upload.content_length).unwrap_or(i64::MAX))
            .bind(completion)
            .bind(document)
            .execute(&mut *transaction)
            .await?;
        }
        let attached = match (completion, document) {
            (Some(id), _) => {
                super::files::completion(&mut transaction, user, id).await?.map(Attached::Completion)
            }
            (_, Some(id)) => {
                super::files::document(&mut transaction, user, id).await?.map(Attached::Document)
            }
            (None, None) => None,
        };
        let attached = attached.ok_or(NotAttached::NoTarget)?;
        transaction.commit().await?;
        Ok(attached)
    }

    /// Whether a target is there for this person, before anything is moved for it.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn has_target(&self, user: i64, target: &Target) -> Result<bool, StoreError> {
        use crate::query::Ask as _;
        let row = match target {
            Target::Completion(new, _) => query(
                "select 1 from tasks t join residences r on r.id = t.residence_id \
                     where r.owner_id = $1 and t.id = $2 and t.done_on is null",
            )
            .bind(user)
            .bind(new.task_id),
            Target::Document(new) => query("select 1 from residences where owner_id = $1 and id = $2")
                .bind(user)
                .bind(new.residence_id),
        };
        Ok(row.optional(self).await?.is_some())
    }
}

fn claimable(id: Uuid, row: &PgRow, category: Category) -> Result<Upload, NotAttached> {
    let state: String = row.try_get("state")?;
    if row.try_get::<String, _>("category")? != category.name() {
        return Err(NotAttached::Category(id));
    }
    match state.as_str() {
        "attached" | "clearing" => return Err(NotAttached::Taken(id)),
        "attaching" if !row.try_get::<bool, _>("stale")? => return Err(NotAttached::InHand(id)),
        "pending" | "attaching" if !row.try_get::<bool, _>("expired")? => {}
        _ => return Err(NotAttached::Expired(id)),
    }
    let sha256: Option<String> = row.try_get("sha256")?;
    let digest = |found: String| {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(&found, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(StoreError::Unreadable { column: "sha256", found }),
        }
    };
    Ok(Upload {
        id,
        content_type: row.try_get("content_type")?,
        content_length: u64::try_from(row.try_get::<i64, _>("content_length")?).unwrap_or(0),
        sha256: sha256.map(digest).transpose()?,
    })
}

/// What these very uploads were attached to by this very request, if it was made before.
async fn attached_before(
    transaction: &mut Transaction<'_, Postgres>,
    user: i64,
    target: &Target,
    ids: &BTreeSet<Uuid>,
) -> Result<Option<Attached>, NotAttached> {
    let Some(first) = ids.first() else { return Ok(None) };
    let row =
        query("select completion_id, document_id from files where owner_id = $1 and id = $2::text::uuid")
            .bind(user)
            .bind(first.to_string())
            .fetch_optional(&mut **transaction)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let (completion, document): (Option<i64>, Option<i64>) =
        (row.try_get("completion_id")?, row.try_get("document_id")?);
    let attached = match (target, completion, document) {
        (Target::Completion(new, _), Some(id), _) => {
            let found = super::files::completion(transaction, user, id).await?;
            found.filter(|found| found.task_id == new.task_id).map(Attached::Completion)
        }
        (Target::Document(new), _, Some(id)) => {
            let found = super::files::document(transaction, user, id).await?;
            let is_same =
                |found: &Document| found.residence_id == new.residence_id && found.title == new.title.trim();
            found.filter(is_same).map(Attached::Document)
        }
        _ => None,
    };
    let files = match &attached {
        Some(Attached::Completion(completion)) => &completion.files,
        Some(Attached::Document(document)) => &document.files,
        None => return Ok(None),
    };
    let kept: BTreeSet<Uuid> = files.iter().filter_map(|file| file.id.parse().ok()).collect();
    Ok(attached.filter(|_| kept == *ids))
}
