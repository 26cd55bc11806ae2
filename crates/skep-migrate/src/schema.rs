//! The check an app makes at start: is the database at least at the schema that this build was written for?
//!
//! It only reads, by the simple protocol, so it works through a transaction-mode pooler as well as directly.

use sqlx::postgres::PgConnection;
use thiserror::Error;

use crate::table::{self, TableName};

/// The exit code of an app that refuses to boot on a schema that is not right: 78, `EX_CONFIG` of sysexits.h.
///
/// Restarting such a pod can't help, only a migration can, so whoever watches the rollout may take this code as final.
pub const SCHEMA_EXIT_CODE: u8 = 78;

/// Why an app must not boot on this database.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// No migration has ever been run here, or the app looks at the wrong database or schema.
    #[error(
        "the database has no table {table}: no migration was ever applied here; run the migrations before the app \
         (goose up), or check that the app's database and search_path are the migrations' own"
    )]
    TableMissing {
        /// The table that was looked for.
        table: String,
    },
    /// The row that was written last says that its migration is not applied.
    #[error(
        "the latest row of {table} says that migration {version} is not applied: it was rolled back or left \
         half-way; run the migrations again (goose up) before the app"
    )]
    NotApplied {
        /// The table that was read.
        table: String,
        /// The version of that row.
        version: i64,
    },
    /// The table is there and the database is at an older version.
    #[error(
        "the database is at migration {have} and this build needs {need}; run the migrations (goose up) with this \
         build's image before the app"
    )]
    Behind {
        /// The highest applied version; 0 when none is.
        have: i64,
        /// The version the app was built for.
        need: i64,
    },
    /// The table could not be read. Unlike the others this may pass: exit with another code, so that the pod is restarted.
    #[error("cannot read the version table")]
    Database(#[source] sqlx::Error),
}

impl SchemaError {
    /// True when only a migration can heal it, and so when [`SCHEMA_EXIT_CODE`] is the code to exit with; false when the
    /// database could not be asked.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Database(_))
    }
}

/// Checks that the database of `connection` is at `newest` or later, and answers the version it is at.
///
/// `newest` is the newest migration the app was built with: see [`newest_version`](crate::newest_version). A database that
/// is ahead is fine, since an older release must be able to boot after a rollback.
///
/// ```no_run
/// # async fn start(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// use skep_migrate::{newest_version, require_schema_applied};
///
/// let newest = newest_version(["00001_users.sql", "00002_tasks.sql"]).unwrap_or(0);
/// let version = require_schema_applied(&mut *pool.acquire().await?, newest).await?;
/// println!("schema {version}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the table is missing, its latest row is not applied, or the database is behind; or it can't be read.
pub async fn require_schema_applied(connection: &mut PgConnection, newest: i64) -> Result<i64, SchemaError> {
    require_schema_applied_in(connection, &TableName::default(), newest).await
}

/// [`require_schema_applied`] for a version table of another name.
///
/// # Errors
/// As [`require_schema_applied`].
pub async fn require_schema_applied_in(
    connection: &mut PgConnection,
    table: &TableName,
    newest: i64,
) -> Result<i64, SchemaError> {
    let history = table::read(connection, table).await.map_err(SchemaError::Database)?;
    let Some(history) = history else {
        return Err(SchemaError::TableMissing { table: table.to_string() });
    };
    if let Some(row) = history.latest_row().filter(|row| !row.applied) {
        return Err(SchemaError::NotApplied { table: table.to_string(), version: row.version });
    }
    let have = history.highest_applied().unwrap_or(0);
    if have < newest {
        return Err(SchemaError::Behind { have, need: newest });
    }
    Ok(have)
}
