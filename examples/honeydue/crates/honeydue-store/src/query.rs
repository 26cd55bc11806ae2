//! How a query is asked so that it works through a transaction-mode pooler of any age.
//!
//! Such a pooler hands out a server connection per transaction, and a query with arguments takes two round trips (parse, then
//! bind), each of which would be a transaction of its own. So every query gets an explicit transaction, and its statement no
//! name: a name would outlive the transaction on a connection that is somebody else's by then.

use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use crate::Store;

/// A query whose statement has no name.
pub(crate) fn query(sql: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(sql).persistent(false)
}

/// Runs a query in a transaction of its own.
pub(crate) trait Ask {
    /// Every row.
    async fn all(self, store: &Store) -> Result<Vec<PgRow>, sqlx::Error>;
    /// The first row, if there is one.
    async fn optional(self, store: &Store) -> Result<Option<PgRow>, sqlx::Error>;
    /// The first row; none is an error.
    async fn one(self, store: &Store) -> Result<PgRow, sqlx::Error>;
    /// How many rows it changed.
    async fn done(self, store: &Store) -> Result<u64, sqlx::Error>;
}

impl Ask for Query<'static, Postgres, PgArguments> {
    async fn all(self, store: &Store) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut transaction = store.pool.begin().await?;
        let rows = self.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    async fn optional(self, store: &Store) -> Result<Option<PgRow>, sqlx::Error> {
        let mut transaction = store.pool.begin().await?;
        let row = self.fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(row)
    }

    async fn one(self, store: &Store) -> Result<PgRow, sqlx::Error> {
        self.optional(store).await?.ok_or(sqlx::Error::RowNotFound)
    }

    async fn done(self, store: &Store) -> Result<u64, sqlx::Error> {
        let mut transaction = store.pool.begin().await?;
        let done = self.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}
