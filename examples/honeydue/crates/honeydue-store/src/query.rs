//! How a query is asked so that it works through a transaction-mode pooler of any age.
//!
//! Such a pooler hands out a server connection per transaction, and a query with arguments takes two round trips (parse, then
//! bind), each of which would be a transaction of its own. So every query gets an explicit transaction, and its statement no
//! name: a name would outlive the transaction on a connection that is somebody else's by then.
//!
//! That makes four round trips. Where that counts, [`call`] makes one: a call of a function whose arguments are written into it, because
//! they are of kinds that can't be taken for anything else.

use std::{fmt::Write as _, time::Duration};

use sqlx::{
    AssertSqlSafe, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
    raw_sql,
};
use uuid::Uuid;

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

/// An argument as SQL writes it. None can hold a quote or a backslash.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain(String);

impl Plain {
    pub(crate) fn number(number: i64) -> Self {
        Self(number.to_string())
    }

    pub(crate) fn id(id: Uuid) -> Self {
        Self(format!("'{id}'"))
    }

    /// An interval.
    pub(crate) fn seconds(time: Duration) -> Self {
        Self(format!("'{} s'", time.as_secs()))
    }

    /// A SHA-256 in hexadecimal digits.
    pub(crate) fn digest(sha256: Option<[u8; 32]>) -> Self {
        Self(sha256.map_or("null".to_owned(), |bytes| format!("'{}'", hex::encode(bytes))))
    }

    /// A name out of a list, such as a content type.
    ///
    /// # Errors
    /// When it has another letter than such names have.
    pub(crate) fn word(word: &str) -> Result<Self, sqlx::Error> {
        let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_./+".contains(&letter);
        match word.bytes().all(is_plain) {
            true => Ok(Self(format!("'{word}'"))),
            false => Err(sqlx::Error::Encode(format!("{word:?} is no plain word").into())),
        }
    }
}

/// What a function answers, in one round trip: without arguments of its own a statement goes by the simple protocol, and is a transaction
/// by itself.
pub(crate) async fn call(
    store: &Store,
    function: &'static str,
    arguments: &[Plain],
) -> Result<PgRow, sqlx::Error> {
    let mut sql = format!("select {function}(");
    for (number, Plain(argument)) in arguments.iter().enumerate() {
        let comma = if number > 0 { ", " } else { "" };
        write!(sql, "{comma}{argument}").map_err(|error| sqlx::Error::Encode(error.into()))?;
    }
    sql.push(')');
    raw_sql(AssertSqlSafe(sql)).fetch_one(&store.pool).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_is_written_into_a_statement_can_be_nothing_else() {
        assert_eq!(Plain::word("image/svg+xml").unwrap(), Plain("'image/svg+xml'".to_owned()));
        for word in ["'", "a'b", "a\\", "a b", "a;b", "a\0b", "ä", "a,b", "a(b", "a\nb", "$1", "a--b'"] {
            assert!(Plain::word(word).is_err(), "{word:?}");
        }
        assert_eq!(Plain::number(-7), Plain("-7".to_owned()));
        assert_eq!(Plain::seconds(Duration::from_secs(900)), Plain("'900 s'".to_owned()));
        assert_eq!(Plain::digest(None), Plain("null".to_owned()));
    }
}
