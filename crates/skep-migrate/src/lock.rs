//! goose's Postgres session lock: `pg_try_advisory_lock(4097083626)`, tried until it is had.
//!
//! It belongs to the server session, so it is free as soon as its holder's connection is gone, however that ended.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};
use thiserror::Error;
use tokio::time::sleep;

/// Which lock, and how patiently. The default is goose's: every 5 s, 60 more times, so 5 minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPolicy {
    /// The advisory lock's key. goose's is the CRC-32 of `goose`.
    pub id: i64,
    /// Between two tries.
    pub interval: Duration,
    /// Tries after the first.
    pub retries: u32,
}

impl Default for LockPolicy {
    fn default() -> Self {
        Self { id: 4_097_083_626, interval: Duration::from_secs(5), retries: 60 }
    }
}

/// Who has the lock, as far as the server lets this role see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its server process: `SELECT pg_terminate_backend(pid)` ends it.
    pub backend: i32,
    /// Its application name, address and what it is running, where visible.
    pub about: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backend {}", self.backend)?;
        if self.about.is_empty() { Ok(()) } else { write!(f, " ({})", self.about) }
    }
}

/// A lock that can't be had or was lost.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody else kept it all the time.
    #[error(
        "failed to acquire lock: another migration run has held it for {} s{}; wait for it, or end it with SELECT \
         pg_terminate_backend(…)", waited.as_secs(), holder.as_ref().map(|holder| format!(": {holder}")).unwrap_or_default()
    )]
    Busy {
        /// How long it was tried.
        waited: Duration,
        /// Who has it.
        holder: Option<Holder>,
    },
    /// Unlocking found that this session doesn't have it.
    #[error(
        "failed to unlock session: the lock {id} was not this session's any more; a pooler in transaction mode does \
         that, give the direct address in GOOSE_DIRECT_DBSTRING"
    )]
    Lost {
        /// The lock's key.
        id: i64,
    },
    /// The server could not be asked.
    #[error("cannot ask for the migration lock")]
    Database(#[from] sqlx::Error),
}

/// Takes the lock; `waiting` is called before each pause.
pub(crate) async fn acquire(
    connection: &mut PgConnection,
    policy: &LockPolicy,
    mut waiting: impl FnMut(Option<&Holder>),
) -> Result<(), LockError> {
    let mut left = policy.retries;
    while !ask(connection, "pg_try_advisory_lock", policy.id).await? {
        let holder = holder(connection, policy.id).await?;
        if left == 0 {
            return Err(LockError::Busy { waited: policy.interval * policy.retries, holder });
        }
        waiting(holder.as_ref());
        left -= 1;
        sleep(policy.interval).await;
    }
    Ok(())
}

/// Gives it back.
pub(crate) async fn release(connection: &mut PgConnection, policy: &LockPolicy) -> Result<(), LockError> {
    if ask(connection, "pg_advisory_unlock", policy.id).await? {
        Ok(())
    } else {
        Err(LockError::Lost { id: policy.id })
    }
}

async fn ask(connection: &mut PgConnection, function: &str, id: i64) -> Result<bool, sqlx::Error> {
    let sql = format!("SELECT {function}({id})");
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await?.try_get(0)
}

async fn holder(connection: &mut PgConnection, id: i64) -> Result<Option<Holder>, sqlx::Error> {
    let sql = format!(
        "SELECT l.pid, concat_ws(', ', nullif(a.application_name, ''), host(a.client_addr), left(a.query, 60)) \
         FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted \
         AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) = {id} \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_optional(connection).await?;
    row.map(|row| Ok(Holder { backend: row.try_get(0)?, about: row.try_get(1)? })).transpose()
}
