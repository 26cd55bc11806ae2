//! The table `sessions`, with the cache in front of it.

use honeydue_model::User;
use honeydue_service::Sealer;
use sqlx::Row as _;

use crate::{
    Cache, Store, StoreError, Token,
    jobs::NOTHING,
    query::{Ask as _, query},
};

impl Store {
    /// Opens a session of 30 days.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn open_session(
        &self,
        cache: &Cache,
        sealer: &Sealer,
        user: &User,
    ) -> Result<Token, StoreError> {
        let token =
            Token::random().ok_or_else(|| sqlx::Error::Protocol("no randomness for a token".into()))?;
        let sealed = token.sealed(sealer);
        query(
            "insert into sessions (token_hash, user_id, expires_at) values ($1, $2, now() + interval '30 days')",
        )
        .bind(&sealed)
        .bind(user.id)
        .done(self)
        .await?;
        cache.keep_session(sealer, &sealed, user).await;
        Ok(token)
    }

    /// The user whose session `token` proves; `None` when it is unknown or has run out.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn session_user(
        &self,
        cache: &Cache,
        sealer: &Sealer,
        token: &Token,
    ) -> Result<Option<User>, StoreError> {
        let sealed = token.sealed(sealer);
        if let Some(user) = cache.session(sealer, &sealed).await {
            return Ok(Some(user));
        }
        let row = query(
            "select u.id, u.email, u.name from sessions s join users u on u.id = s.user_id \
             where s.token_hash = $1 and s.expires_at > now()",
        )
        .bind(&sealed)
        .optional(self)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let user = User { id: row.try_get("id")?, email: row.try_get("email")?, name: row.try_get("name")? };
        cache.keep_session(sealer, &sealed, &user).await;
        Ok(Some(user))
    }

    /// Ends a session; one that is gone already counts as ended. Without Redis its copy there runs out within five minutes.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn close_session(
        &self,
        cache: &Cache,
        sealer: &Sealer,
        token: &Token,
    ) -> Result<(), StoreError> {
        let sealed = token.sealed(sealer);
        query("delete from sessions where token_hash = $1").bind(&sealed).done(self).await?;
        if let Err(error) = cache.end_sessions(&[sealed]).await {
            tracing::warn!(%error, "a session was not taken out of the cache");
        }
        Ok(())
    }

    /// Deletes sessions that have run out, and job runs older than 30 days, or than one if there was nothing to do. Answers how many of each.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn clean_up(&self) -> Result<(u64, u64), StoreError> {
        let sessions = query("delete from sessions where expires_at <= now()").done(self).await?;
        let runs = query(
            "delete from job_runs where state <> 'running' and started_at < now() - \
                 case when note = $1 then interval '1 day' else interval '30 days' end",
        )
        .bind(NOTHING)
        .done(self)
        .await?;
        Ok((sessions, runs))
    }
}
