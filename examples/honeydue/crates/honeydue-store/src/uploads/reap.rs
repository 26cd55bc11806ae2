//! Uploads that nobody attached, the leftovers of those that were, and files that belong to nothing any more, batch by batch.

use sqlx::Row as _;
use uuid::Uuid;

use super::{CLAIM_LIVES, Claim, FORM_LIVES, files::id, texts};
use crate::{
    Store, StoreError,
    query::{Ask as _, query},
};

/// Rows that one reaper has in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReapBatch {
    claim: Claim,
    /// Each with whose it was.
    pub uploads: Vec<(i64, Uuid)>,
}

/// What became of some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Uploads that nobody attached.
    pub reaped: u64,
    /// Leftovers of those that were attached.
    pub cleared: u64,
    /// Files that belonged to nothing.
    pub orphaned: u64,
    /// Rows whose object the store would not delete.
    pub refused: u64,
    /// Versions deleted from the bucket.
    pub versions: u64,
}

impl std::ops::AddAssign for Reaped {
    fn add_assign(&mut self, other: Self) {
        self.reaped += other.reaped;
        self.cleared += other.cleared;
        self.orphaned += other.orphaned;
        self.refused += other.refused;
        self.versions += other.versions;
    }
}

/// An open run of the reaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaperRun {
    id: i64,
}

/// Which rows a batch is of. What began to be sent while its form was alive has as long again to arrive.
const EXPIRED: &str = "update pending_uploads set state = 'reaping', state_since = now(), claim = $1::text::uuid \
     where id in (select id from pending_uploads \
         where expires_at <= now() and form_expires_at + make_interval(secs => $5) <= now() and ( \
             (state = 'pending' and state_since < (select started_at from reaper_runs where id = $4)) \
             or (state in ('attaching', 'reaping') and state_since < now() - make_interval(secs => $2))) \
         order by expires_at limit $3 for update skip locked) \
     returning id::text as id, user_id";
/// A form that was used again after its upload was attached leaves bytes that nobody asked for: they go once it is dead.
const LEFT_OVER: &str = "update pending_uploads set state = 'clearing', state_since = now(), claim = $1::text::uuid \
     where id in (select id from pending_uploads \
         where form_expires_at + make_interval(secs => $5) <= now() and ( \
             (state = 'attached' and state_since < (select started_at from reaper_runs where id = $4)) \
             or (state = 'clearing' and state_since < now() - make_interval(secs => $2))) \
         order by form_expires_at limit $3 for update skip locked) \
     returning id::text as id, user_id";

impl Store {
    /// Gives uploads back whose request died while it attached them. Answers how many there were.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn free_dead_claims(&self) -> Result<u64, StoreError> {
        let freed = query(
            "update pending_uploads set state = 'pending', state_since = now(), claim = null \
             where id in (select id from pending_uploads \
                 where state = 'attaching' and state_since < now() - make_interval(secs => $1) order by id for update)",
        )
        .bind(CLAIM_LIVES.as_secs_f64())
        .done(self)
        .await?;
        Ok(freed)
    }

    /// Claims uploads that nobody attached in time. Another reaper's rows are passed by, unless it died; so is what this run has given
    /// back.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn expired_uploads(&self, run: ReaperRun, most: i64) -> Result<ReapBatch, StoreError> {
        let claim = Claim::new();
        let rows = query(EXPIRED)
            .bind(claim.text())
            .bind(CLAIM_LIVES.as_secs_f64())
            .bind(most)
            .bind(run.id)
            .bind(FORM_LIVES.as_secs_f64())
            .all(self)
            .await?;
        batch(claim, &rows)
    }

    /// Claims attached uploads whose forms are dead by now: what may be left of them.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn left_over_uploads(&self, run: ReaperRun, most: i64) -> Result<ReapBatch, StoreError> {
        let claim = Claim::new();
        let rows = query(LEFT_OVER)
            .bind(claim.text())
            .bind(CLAIM_LIVES.as_secs_f64())
            .bind(most)
            .bind(run.id)
            .bind(FORM_LIVES.as_secs_f64())
            .all(self)
            .await?;
        batch(claim, &rows)
    }

    /// Deletes the rows of a batch whose objects are gone; gives the others back, for the next run. Answers how many were deleted.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn close_batch(&self, batch: &ReapBatch, gone: &[Uuid]) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let deleted = query(
            "delete from pending_uploads where id in (select id from pending_uploads \
                 where claim = $1::text::uuid and state in ('reaping', 'clearing') order by id for update) \
             and id = any($2::text[]::uuid[])",
        )
        .bind(batch.claim.text())
        .bind(texts(gone))
        .execute(&mut *transaction)
        .await?;
        query(
            "update pending_uploads set claim = null, state_since = now(), \
                 state = case state when 'clearing' then 'attached' else 'pending' end \
             where claim = $1::text::uuid and state in ('reaping', 'clearing')",
        )
        .bind(batch.claim.text())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected())
    }

    /// Files that belong to nothing any more, each with whose it was. Nobody can attach or read them, so they are not claimed.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn orphaned_files(&self, most: i64, after: Uuid) -> Result<Vec<(i64, Uuid)>, StoreError> {
        let rows = query(
            "select id::text as id, owner_id as user_id from files \
             where completion_id is null and document_id is null and id > $2::text::uuid order by id limit $1",
        )
        .bind(most)
        .bind(after.to_string())
        .all(self)
        .await?;
        rows.iter().map(pair).collect()
    }

    /// Deletes the rows of files whose objects are gone.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn forget_files(&self, gone: &[Uuid]) -> Result<u64, StoreError> {
        let deleted = query(
            "delete from files where id = any($1::text[]::uuid[]) and completion_id is null and document_id is null",
        )
        .bind(texts(gone))
        .done(self)
        .await?;
        Ok(deleted)
    }

    /// Opens the record of a run.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn open_reaper_run(&self) -> Result<ReaperRun, StoreError> {
        let row = query("insert into reaper_runs default values returning id").one(self).await?;
        Ok(ReaperRun { id: row.try_get("id")? })
    }

    /// Notes what a run has done so far.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn note_reaper_run(
        &self,
        run: ReaperRun,
        done: Reaped,
        is_over: bool,
    ) -> Result<(), StoreError> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        query(
            "update reaper_runs set reaped = $2, cleared = $3, orphaned = $4, refused = $5, versions = $6, \
                 finished_at = case when $7 then now() end where id = $1",
        )
        .bind(run.id)
        .bind(number(done.reaped))
        .bind(number(done.cleared))
        .bind(number(done.orphaned))
        .bind(number(done.refused))
        .bind(number(done.versions))
        .bind(is_over)
        .done(self)
        .await?;
        Ok(())
    }
}

fn batch(claim: Claim, rows: &[sqlx::postgres::PgRow]) -> Result<ReapBatch, StoreError> {
    Ok(ReapBatch { claim, uploads: rows.iter().map(pair).collect::<Result<_, _>>()? })
}

fn pair(row: &sqlx::postgres::PgRow) -> Result<(i64, Uuid), StoreError> {
    Ok((row.try_get("user_id")?, id(row)?))
}
