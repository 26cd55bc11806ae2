//! One connection for everything: the lock, the version table and the migrations.
//!
//! goose's lock belongs to a session, so it is worth nothing through a pooler in transaction mode, where each transaction may
//! run on another server connection. A session therefore proves at its start that it is one, and each migration checks
//! that it still is.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

use crate::dsn::{Dsn, DsnError};

const CONNECT_LIMIT: Duration = Duration::from_secs(30);
const STARTING_UP_PAUSE: Duration = Duration::from_millis(250);
/// A cluster routes a Service to a database that has just become ready a second or more later: until then it refuses for it.
const ROUTE_LIMIT: Duration = Duration::from_secs(5);
const CANCEL_LIMIT: Duration = Duration::from_secs(3);
/// A pooler in session mode that has no second server connection lets the probe wait.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// A server session that is proven to be one.
pub struct Session {
    pub(crate) connection: PgConnection,
    options: PgConnectOptions,
    backend: i32,
    place: String,
}

/// A session that can't be had.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The DSN doesn't say where to.
    #[error(transparent)]
    Dsn(#[from] DsnError),
    /// No connection.
    #[error("cannot connect to {place}")]
    Unreachable {
        /// User, host, port and database.
        place: String,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// No answer.
    #[error("cannot connect to {place}: no answer within {} s", limit.as_secs())]
    NoAnswer {
        /// User, host, port and database.
        place: String,
        /// How long it was tried.
        limit: Duration,
    },
    /// A pooler in transaction mode is in between.
    #[error(
        "{place} is a pooler in transaction mode: two connections shared one server session, so goose's session lock \
         would protect nothing; give the database's direct address in GOOSE_DIRECT_DBSTRING or DATABASE_DIRECT_URL \
         (or DB_DIRECT_HOST, beside the DB_HOST parts)"
    )]
    Pooled {
        /// User, host, port and database.
        place: String,
    },
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, backend {})", self.place, self.backend)
    }
}

impl Session {
    /// Connects, and checks that no pooler shares the session. A server that is still starting is waited for; one that can't be
    /// found, or refuses the connection, for 5 s.
    ///
    /// # Errors
    /// When the server can't be reached in the DSN's `connect_timeout` (30 s by default), refuses, or is a pooler in
    /// transaction mode.
    pub async fn connect(dsn: &Dsn) -> Result<Self, ConnectError> {
        let options = dsn.options()?;
        let place = dsn.to_string();
        let limit = dsn.connect_timeout.unwrap_or(CONNECT_LIMIT);
        let unreachable = |source| ConnectError::Unreachable { place: place.clone(), source };
        let opened = timeout(limit, async {
            let mut connection = first_connection(&options, Instant::now() + limit).await?;
            prepare(&mut connection, dsn).await?;
            let backend = backend_of(&mut connection).await?;
            let shared = is_shared(&options, backend).await;
            Ok((connection, backend, shared))
        });
        let Ok(opened) = opened.await else {
            return Err(ConnectError::NoAnswer { place, limit });
        };
        let (connection, backend, shared) = opened.map_err(unreachable)?;
        if shared {
            return Err(ConnectError::Pooled { place });
        }
        Ok(Self { connection, options, backend, place })
    }

    /// The server process of this session.
    #[must_use]
    pub fn backend(&self) -> i32 {
        self.backend
    }

    /// Something that can end this session from outside, while a migration holds it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller { options: self.options.clone(), backend: self.backend }
    }

    /// The connection, for reading.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Says goodbye to the server. The lock, if it is still held, goes with the session.
    pub async fn close(self) {
        // Whatever the answer is, the socket is closed, and with it the session.
        let _ = timeout(CANCEL_LIMIT, self.connection.close()).await;
    }
}

/// Ends a session that is busy: closing the socket alone would let a long statement run to its end on the server.
#[derive(Clone)]
pub struct Canceller {
    options: PgConnectOptions,
    backend: i32,
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canceller(backend {})", self.backend)
    }
}

impl Canceller {
    /// Ends it within three seconds; true when the server said that it did. Its open transaction is rolled back.
    pub async fn end_session(&self) -> bool {
        let sql = format!("SELECT pg_terminate_backend({})", self.backend);
        let ended = timeout(CANCEL_LIMIT, async {
            let mut connection = self.options.connect().await?;
            let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
            row.try_get::<bool, _>(0)
        });
        matches!(ended.await, Ok(Ok(true)))
    }
}

async fn first_connection(
    options: &PgConnectOptions,
    deadline: Instant,
) -> Result<PgConnection, sqlx::Error> {
    let routed = deadline.min(Instant::now() + ROUTE_LIMIT);
    loop {
        let refused = match options.connect().await {
            Err(refused) => refused,
            connected => return connected,
        };
        let until = match &refused {
            sqlx::Error::Database(error) if error.code().as_deref() == Some("57P03") => deadline,
            sqlx::Error::Io(_) => routed,
            _ => return Err(refused),
        };
        if Instant::now() >= until {
            return Err(refused);
        }
        sleep(STARTING_UP_PAUSE).await;
    }
}

/// Lets the server notice within seconds that this process is gone, even in the middle of a long statement, so that a killed
/// run's lock and transaction don't outlive it. A server that can't (before Postgres 14) keeps its own ways.
const NOTICE_OUR_DEATH: &str = "SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES \
     ('client_connection_check_interval', '2s'), ('tcp_keepalives_idle', '15'), \
     ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3')) AS want (name, wanted) USING (name)";

/// The role's and the database's own time zone, which sqlx covers with UTC: it decides what `now()` means to a migration
/// that writes timestamps without a zone.
const OWN_TIME_ZONE: &str = "SELECT set_config('TimeZone', split_part(setting, '=', 2), false) FROM (\
     SELECT setting FROM pg_db_role_setting, unnest(setconfig) AS setting \
     WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
     AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user)) AND setting ILIKE 'timezone=%' \
     ORDER BY (setrole <> 0) DESC, (setdatabase <> 0) DESC LIMIT 1) AS own";

async fn prepare(connection: &mut PgConnection, dsn: &Dsn) -> Result<(), sqlx::Error> {
    for wish in [NOTICE_OUR_DEATH, OWN_TIME_ZONE] {
        match sqlx::raw_sql(wish).execute(&mut *connection).await {
            Ok(_) | Err(sqlx::Error::Database(_)) => {}
            Err(lost) => return Err(lost),
        }
    }
    for (key, value) in dsn.late_settings() {
        let sql = format!("SET {key} = '{}'", value.replace('\'', "''"));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn backend_of(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

/// Opens a second connection while the first is idle. If it lands on the same server process, the two share it, and
/// that is a pooler in transaction (or statement) mode: nothing else hands one process to two clients. A second
/// connection that is refused, or that waits until the first is gone, proves nothing.
async fn is_shared(options: &PgConnectOptions, backend: i32) -> bool {
    let second = timeout(PROBE_LIMIT, async {
        let mut second = options.connect().await?;
        let other = backend_of(&mut second).await?;
        // The answer is in hand; a goodbye that fails changes nothing.
        let _ = second.close().await;
        Ok::<_, sqlx::Error>(other)
    });
    matches!(second.await, Ok(Ok(other)) if other == backend)
}
