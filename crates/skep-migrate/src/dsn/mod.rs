//! Where the database is: a URL, libpq's `key=value` words, or parts from the environment → one value.
//!
//! Migrations need a session of their own, so the way in must not lead through a pooler in transaction mode: see
//! [`resolve`].

#[cfg(feature = "postgres")]
mod connect;
mod environment;
mod keyvalue;
mod url;

use std::fmt;
use std::time::Duration;

use thiserror::Error;

pub use environment::{Resolved, resolve};

/// How to reach a database, before any of it is used. `Debug` and `Display` never show the password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Dsn {
    /// Host name, address, or the folder of a unix socket; `None`: libpq's default (`PGHOST`, then a local socket).
    pub host: Option<String>,
    /// TCP port, or the number in the socket's name.
    pub port: Option<u16>,
    /// Role.
    pub user: Option<String>,
    /// Database; `None`: the role's name.
    pub database: Option<String>,
    /// How long a connection may take to be made.
    pub connect_timeout: Option<Duration>,
    password: Option<String>,
    /// Parameters the client understands: `sslmode`, `sslrootcert`, `options` and such.
    client: Vec<(String, String)>,
    /// Server settings for the session: `search_path`, `statement_timeout`, whatever Postgres knows.
    settings: Vec<(String, String)>,
}

/// A data source name that can't be read. Messages never contain the password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DsnError {
    /// Nothing says where the database is.
    #[error(
        "no database is named: expected GOOSE_DBSTRING, DATABASE_URL, DB_HOST and its parts (DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, DB_SSLMODE) or a DSN argument"
    )]
    Nothing,
    /// A URL of another database, or none.
    #[error(
        "expected a DSN like postgres://user:password@host:5432/name or `host=… user=… dbname=…`, found one that begins with `{0}`"
    )]
    Scheme(String),
    /// A part that doesn't fit.
    #[error("the DSN's {part}: {why}")]
    Part {
        /// Which part.
        part: String,
        /// What was expected.
        why: String,
    },
}

impl DsnError {
    fn part(part: &str, why: impl Into<String>) -> Self {
        Self::Part { part: part.into(), why: why.into() }
    }
}

/// Parameters for the client library itself, passed on.
const CLIENT: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "options"];

/// Parameters of other clients and poolers that say nothing about one plain session.
const IGNORED: [&str; 22] = [
    "binary_parameters",
    "channel_binding",
    "connection_limit",
    "default_query_exec_mode",
    "description_cache_capacity",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "min_read_buffer_size",
    "passfile",
    "pgbouncer",
    "sslnegotiation",
    "sslsni",
    "statement-cache-capacity",
    "statement_cache_capacity",
    "target_session_attrs",
    "tcp_user_timeout",
    "uselibpqcompat",
];

impl Dsn {
    /// Reads a URL (`postgres://…`) or `key=value` words, whichever it is.
    ///
    /// ```
    /// let dsn = skep_migrate::Dsn::parse("postgres://app:s3cret@db.internal:5433/app?sslmode=require")?;
    /// assert_eq!(dsn.to_string(), "app@db.internal:5433/app");
    /// assert_eq!(skep_migrate::Dsn::parse("host=db.internal port=5433 user=app dbname=app")?.to_string(), dsn.to_string());
    /// # Ok::<(), skep_migrate::DsnError>(())
    /// ```
    ///
    /// # Errors
    /// When it is neither, or a part of it can't be understood.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) => url::parse(rest),
            Some((scheme, _)) if !scheme.contains(['=', ' ']) => {
                Err(DsnError::Scheme(format!("{scheme}://")))
            }
            _ if text.contains('=') => keyvalue::parse(text),
            // Not quoted: it may well be a password.
            _ => Err(DsnError::Scheme(text.chars().take(4).collect())),
        }
    }

    /// Takes one parameter of either form.
    fn set(&mut self, key: &str, value: &str) -> Result<(), DsnError> {
        match key {
            "host" | "hostaddr" if value.contains(',') => {
                return Err(DsnError::part("host", "expected one host, found several; name the primary"));
            }
            "hostaddr" => self.host = Some(value.into()),
            "host" => self.host = self.host.take().or_else(|| some(value)),
            "port" => self.port = Some(port(value)?),
            "user" => self.user = some(value),
            "password" => self.password = some(value),
            "dbname" => self.database = some(value),
            "connect_timeout" => {
                let seconds = value.trim().parse().map_err(|_| {
                    DsnError::part("connect_timeout", format!("expected seconds, found `{value}`"))
                })?;
                self.connect_timeout = Some(Duration::from_secs(seconds)).filter(|limit| !limit.is_zero());
            }
            "fallback_application_name" | "application_name" => {
                self.settings.push(("application_name".into(), value.into()));
            }
            "service" | "sslpassword" | "sslcrl" => {
                return Err(DsnError::part(key, "this parameter is not supported; name its parts"));
            }
            _ if CLIENT.contains(&key) => self.client.push((key.into(), value.into())),
            _ if IGNORED.contains(&key) || key.starts_with("pool_") => {}
            // As pgx does: the server is the judge of what it knows.
            _ => self.settings.push((key.into(), value.into())),
        }
        Ok(())
    }

    /// The same database past a pooler that is named as Neon names its own: `ep-x-pooler.region.host` → `ep-x.region.host`.
    fn past_pooler(&mut self) -> Option<String> {
        let host = self.host.as_deref().filter(|host| !host.starts_with('/'))?;
        let (label, domain) = host.split_once('.')?;
        let direct = format!("{}.{domain}", label.strip_suffix("-pooler").filter(|label| !label.is_empty())?);
        self.host.replace(direct)
    }
}

fn some(value: &str) -> Option<String> {
    Some(value).filter(|value| !value.is_empty()).map(Into::into)
}

fn port(value: &str) -> Result<u16, DsnError> {
    value
        .trim()
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| DsnError::part("port", format!("expected a number from 1 to 65535, found `{value}`")))
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(self.host.as_deref().unwrap_or("localhost"))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match &self.database {
            Some(database) => write!(f, "/{database}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

#[cfg(test)]
mod tests;
