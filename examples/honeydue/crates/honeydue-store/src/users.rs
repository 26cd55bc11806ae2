//! The table `users`.

use honeydue_model::{Registration, User};
use sqlx::Row as _;

use crate::{
    Store, StoreError,
    query::{Ask as _, query},
};

impl Store {
    /// Opens an account; `password_hash` is in PHC form.
    ///
    /// # Errors
    /// [`StoreError::EmailTaken`], or the database's failure.
    pub async fn add_user(
        &self,
        registration: &Registration,
        password_hash: &str,
    ) -> Result<User, StoreError> {
        let (email, name) = (registration.email.trim(), registration.name.trim());
        let row = query("insert into users (email, name, password_hash) values ($1, $2, $3) returning id")
            .bind(email)
            .bind(name)
            .bind(password_hash)
            .one(self)
            .await
            .map_err(|error| StoreError::or_taken(error, "users_email_key", StoreError::EmailTaken))?;
        Ok(User { id: row.try_get("id")?, email: email.to_owned(), name: name.to_owned() })
    }

    /// The account with this address and its password's hash.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<(User, String)>, StoreError> {
        let row = query("select id, email, name, password_hash from users where lower(email) = lower($1)")
            .bind(email.trim())
            .optional(self)
            .await?;
        row.map(|row| {
            let user =
                User { id: row.try_get("id")?, email: row.try_get("email")?, name: row.try_get("name")? };
            Ok((user, row.try_get("password_hash")?))
        })
        .transpose()
    }
}
