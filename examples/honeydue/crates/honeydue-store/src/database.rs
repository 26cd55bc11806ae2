//! The connection to Postgres.

use std::{
    fmt,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

use crate::query::call;

/// How long one connection attempt, or the wait for a free connection, may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long a connection that was well is believed to be so. It is asked whenever a query is done with it.
const WELL_FOR: Duration = Duration::from_millis(50);

/// Where the database is. The names of the environment variables are those of the migration Job, too.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// `DB_HOST`: a host name, or the folder of a Unix socket. In production a transaction-mode pooler's.
    pub host: String,
    /// `DB_PORT`.
    pub port: u16,
    /// `DB_NAME`.
    pub name: String,
    /// `DB_USER`.
    pub user: String,
    /// `DB_PASSWORD`.
    pub password: String,
    /// `DB_SSLMODE`: `disable`, `require`, `verify-full`, …
    pub ssl_mode: PgSslMode,
    /// The most connections that one process opens.
    pub connections: u32,
}

/// Leaves the password out.
impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("name", &self.name)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The database, and every query that honeyDue asks of it. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
}

impl Store {
    /// Connects, and keeps trying for `patience`: a database that starts together with the app may be some seconds late.
    ///
    /// # Errors
    /// The last attempt's failure once patience is over.
    pub async fn connect(settings: &DatabaseSettings, patience: Duration) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(CONNECT_WITHIN)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > WELL_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options(settings));
        let begun = Instant::now();
        loop {
            match pool.acquire().await {
                Ok(_) => return Ok(Self { pool }),
                Err(error) if begun.elapsed() >= patience => return Err(error),
                Err(error) => {
                    tracing::warn!(host = %settings.host, %error, "the database does not answer yet");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// Asks the database for the smallest answer it has.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        call(self, "now", &[]).await.map(|_| ())
    }

    /// Closes the connections after the queries that are under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn options(settings: &DatabaseSettings) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&settings.host)
        .port(settings.port)
        .database(&settings.name)
        .username(&settings.user)
        .password(&settings.password)
        .ssl_mode(settings.ssl_mode)
        .application_name("honeydue")
        // Statements have no names: see `query`.
        .statement_cache_capacity(0)
        // Postgres tells which are slow (`log_min_duration_statement`). Here some would show what was written into them: see `call`.
        .disable_statement_logging()
}
