//! People who are to be forgotten. The account goes at once; the bucket follows, as often as it takes.

use sqlx::Row as _;

use super::UPLOAD_LIVES;
use crate::{
    Cache, Store, StoreError,
    query::{Ask as _, query},
};

/// A person whose objects are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// Who it was.
    pub user: i64,
    /// Whether everything that was signed before is dead by now, so that a bucket that is empty of them stays so.
    pub is_quiet: bool,
}

impl Store {
    /// Deletes an account with everything of it, ends its cached sessions, and leaves the order to erase its objects. Returns
    /// false if there is no such account.
    ///
    /// # Errors
    /// The failure of the database, or of the cache. Nothing is deleted then: a cached session could outlive the account.
    pub async fn delete_user(&self, cache: &Cache, user: i64) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        // The lock keeps new sessions from being opened, so the list of them is complete.
        let found = query("select id from users where id = $1 for update")
            .bind(user)
            .fetch_optional(&mut *transaction)
            .await?;
        if found.is_none() {
            return Ok(false);
        }
        let sessions = query("select token_hash from sessions where user_id = $1")
            .bind(user)
            .fetch_all(&mut *transaction)
            .await?;
        let sessions: Result<Vec<String>, _> = sessions.iter().map(|row| row.try_get("token_hash")).collect();
        // Before the commit, because a request that still reads the rows must find the markers.
        cache.end_sessions(&sessions?).await?;
        query("delete from users where id = $1").bind(user).execute(&mut *transaction).await?;
        query(
            "insert into erasures (user_id, quiet_after) values ($1, now() + make_interval(secs => $2)) \
             on conflict do nothing",
        )
        .bind(user)
        .bind(UPLOAD_LIVES.as_secs_f64())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Whose objects are still to be erased, those first that were not tried for the longest time.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn open_erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        let rows = query(
            "select user_id, quiet_after <= now() as quiet from erasures where finished_at is null \
             order by tried_at nulls first, requested_at limit 1000",
        )
        .all(self)
        .await?;
        rows.iter()
            .map(|row| Ok(Erasure { user: row.try_get("user_id")?, is_quiet: row.try_get("quiet")? }))
            .collect()
    }

    /// Notes what one attempt has deleted, or why it could not.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn note_erasure(&self, user: i64, versions: u64, error: &str) -> Result<(), StoreError> {
        query(
            "update erasures set attempts = attempts + 1, tried_at = now(), versions = versions + $2, last_error = $3 where user_id = $1",
        )
        .bind(user)
        .bind(i64::try_from(versions).unwrap_or(i64::MAX))
        .bind(error)
        .done(self)
        .await?;
        Ok(())
    }

    /// Forgets the rows of a person whose objects are gone for good, and notes when.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn finish_erasure(&self, user: i64) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for statement in [
            "delete from pending_uploads where id in (select id from pending_uploads where user_id = $1 order by id for update)",
            "delete from files where owner_id = $1",
            "update erasures set finished_at = now(), last_error = '' where user_id = $1 and finished_at is null",
        ] {
            query(statement).bind(user).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
