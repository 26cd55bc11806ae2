//! How keeping or finding something fails.

/// A query that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached. Worth a retry by the caller's caller.
    #[error("the database could not answer")]
    Database(#[from] sqlx::Error),
    /// A row holds what this build cannot read: a newer release may have written it.
    #[error("column {column} holds {found:?}, which this build cannot read")]
    Unreadable {
        /// The column.
        column: &'static str,
        /// Its text.
        found: String,
    },
    /// Redis did not answer, and the operation may not go on without it.
    #[error("the cache could not answer")]
    Cache(#[from] redis::RedisError),
    /// Someone has this e-mail address already.
    #[error("this e-mail address has an account already")]
    EmailTaken,
}

impl StoreError {
    /// Turns a violation of the unique index `name` into `taken`.
    pub(crate) fn or_taken(error: sqlx::Error, name: &str, taken: Self) -> Self {
        match &error {
            sqlx::Error::Database(refusal) if refusal.constraint() == Some(name) => taken,
            _ => Self::Database(error),
        }
    }
}
