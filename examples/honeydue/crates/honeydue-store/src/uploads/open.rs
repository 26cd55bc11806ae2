//! Room for one more upload, and its row.

use honeydue_model::{WantedUpload, uploads::MOST_UPLOADS};
use sqlx::Row as _;
use uuid::Uuid;

use super::{FORM_LIVES, UPLOAD_LIVES};
use crate::{
    Store, StoreError,
    query::{Ask as _, query},
};

/// How opening an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// There is a row for it.
    Opened,
    /// The person has as many open as anybody may.
    Full,
    /// The person is gone.
    Nobody,
}

impl Store {
    /// Gives an upload up that waits: its place is free at once, its object goes once its form is dead. False when it does not wait.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn cancel_upload(&self, user: i64, id: Uuid) -> Result<bool, StoreError> {
        let cancelled = query(
            "update pending_uploads set expires_at = now() \
             where user_id = $1 and id = $2::text::uuid and state = 'pending' and expires_at > now()",
        )
        .bind(user)
        .bind(id.to_string())
        .done(self)
        .await?;
        Ok(cancelled > 0)
    }

    /// Opens the upload `id` for a person, if there is room.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn open_upload(
        &self,
        user: i64,
        id: Uuid,
        wanted: &WantedUpload,
    ) -> Result<Opened, StoreError> {
        let row = query(
            "select open_upload($1::text::uuid, $2, $3, $4, $5, $6, \
                 make_interval(secs => $7), make_interval(secs => $8), $9) as opened",
        )
        .bind(id.to_string())
        .bind(user)
        .bind(wanted.category.name())
        .bind(&wanted.content_type)
        .bind(i64::try_from(wanted.content_length).unwrap_or(i64::MAX))
        .bind(wanted.sha256.map(hex::encode))
        .bind(FORM_LIVES.as_secs_f64())
        .bind(UPLOAD_LIVES.as_secs_f64())
        .bind(i64::try_from(MOST_UPLOADS).unwrap_or(i64::MAX))
        .one(self)
        .await?;
        let opened: String = row.try_get("opened")?;
        match opened.as_str() {
            "opened" => Ok(Opened::Opened),
            "full" => Ok(Opened::Full),
            "nobody" => Ok(Opened::Nobody),
            _ => Err(StoreError::Unreadable { column: "opened", found: opened }),
        }
    }
}
