//! Room for one more upload, and its row.

use honeydue_model::{WantedUpload, uploads::MOST_UPLOADS};
use sqlx::Row as _;
use uuid::Uuid;

use super::{FORM_LIVES, UPLOAD_LIVES};
use crate::{
    Store, StoreError,
    query::{Ask as _, Plain, call, query},
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
        let arguments = [
            Plain::id(id),
            Plain::number(user),
            Plain::word(wanted.category.name())?,
            Plain::word(&wanted.content_type)?,
            Plain::number(i64::try_from(wanted.content_length).unwrap_or(i64::MAX)),
            Plain::digest(wanted.sha256),
            Plain::seconds(FORM_LIVES),
            Plain::seconds(UPLOAD_LIVES),
            Plain::number(i64::try_from(MOST_UPLOADS).unwrap_or(i64::MAX)),
        ];
        let opened: String = call(self, "open_upload", &arguments).await?.try_get(0)?;
        match opened.as_str() {
            "opened" => Ok(Opened::Opened),
            "full" => Ok(Opened::Full),
            "nobody" => Ok(Opened::Nobody),
            _ => Err(StoreError::Unreadable { column: "opened", found: opened }),
        }
    }
}
