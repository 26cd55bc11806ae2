//! Which database a command means: the argument, the environment, and the way around a pooler.

use super::{Dsn, DsnError, port, some};
use crate::environment::Environment;

/// A database to migrate, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The way in, past any pooler that can be told by its name.
    pub dsn: Dsn,
    /// What said so: `the command line` or the variable's name.
    pub origin: String,
    /// The pooler's host that was left aside.
    pub pooler: Option<String>,
}

/// A way in that is meant for sessions: it wins over everything else.
const DIRECT: [&str; 2] = ["GOOSE_DIRECT_DBSTRING", "DATABASE_DIRECT_URL"];
const WHOLE: [&str; 2] = ["GOOSE_DBSTRING", "DATABASE_URL"];
const HOST: [&str; 3] = ["DB_DIRECT_HOST", "DB_HOST", "POSTGRES_HOST"];
const PORT: [&str; 2] = ["DB_PORT", "POSTGRES_PORT"];
const USER: [&str; 4] = ["DB_USER", "DB_USERNAME", "POSTGRES_USER", "POSTGRES_USERNAME"];
const PASSWORD: [&str; 3] = ["DB_PASSWORD", "DB_PASS", "POSTGRES_PASSWORD"];
const DATABASE: [&str; 5] = ["DB_NAME", "DB_DATABASE", "POSTGRES_DB", "POSTGRES_DATABASE", "POSTGRES_NAME"];
const SSLMODE: [&str; 4] = ["DB_SSLMODE", "DB_SSL_MODE", "POSTGRES_SSLMODE", "POSTGRES_SSL_MODE"];

/// Finds the database: `GOOSE_DIRECT_DBSTRING` or `DATABASE_DIRECT_URL` if one is set, else the DSN that was `given` as an
/// argument, else `GOOSE_DBSTRING`, `DATABASE_URL`, the parts (`DB_HOST` …, `POSTGRES_HOST` …), and libpq's own `PG…`.
/// Except in a direct one, a host whose first label ends with `-pooler` (Neon's way of naming) loses that ending.
///
/// ```
/// use skep_migrate::{Environment, resolve};
///
/// let environment: Environment =
///     [("DB_HOST", "ep-blue-1-pooler.eu.neon.tech"), ("DB_USER", "app"), ("DB_NAME", "app")].into_iter().collect();
/// let found = resolve(None, &environment)?;
/// assert_eq!(found.dsn.to_string(), "app@ep-blue-1.eu.neon.tech/app");
/// assert_eq!(found.pooler.as_deref(), Some("ep-blue-1-pooler.eu.neon.tech"));
/// # Ok::<(), skep_migrate::DsnError>(())
/// ```
///
/// # Errors
/// When nothing names a database, or what does can't be read.
pub fn resolve(given: Option<&str>, environment: &Environment) -> Result<Resolved, DsnError> {
    if let Some((origin, text)) = first(environment, &DIRECT) {
        return Ok(Resolved { dsn: Dsn::parse(text)?, origin: origin.into(), pooler: None });
    }
    let (mut dsn, origin) = if let Some(text) = given.filter(|text| !text.trim().is_empty()) {
        (Dsn::parse(text)?, "the command line")
    } else if let Some((origin, text)) = first(environment, &WHOLE) {
        (Dsn::parse(text)?, origin)
    } else if let Some((origin, host)) = first(environment, &HOST) {
        (from_parts(host, environment)?, origin)
    } else if let Some((origin, _)) = first(environment, &["PGHOST", "PGDATABASE", "PGUSER"]) {
        (Dsn::default(), origin)
    } else {
        return Err(DsnError::Nothing);
    };
    let named_direct = origin == "DB_DIRECT_HOST";
    let pooler = if named_direct { None } else { dsn.past_pooler() };
    Ok(Resolved { dsn, origin: origin.into(), pooler })
}

fn from_parts(host: &str, environment: &Environment) -> Result<Dsn, DsnError> {
    let value = |names: &[&'static str]| first(environment, names).map(|(_, value)| value);
    let mut dsn = Dsn { host: some(host), ..Dsn::default() };
    if let Some(number) = value(&PORT) {
        dsn.port = Some(port(number)?);
    }
    dsn.user = value(&USER).and_then(some);
    dsn.password = value(&PASSWORD).and_then(some);
    dsn.database = value(&DATABASE).and_then(some);
    if let Some(mode) = value(&SSLMODE) {
        dsn.set("sslmode", mode)?;
    }
    Ok(dsn)
}

/// The first of these variables that is filled. Kubernetes itself sets `DB_PORT=tcp://10.0.0.1:5432` in the pods of a
/// namespace with a Service `db`: that is nobody's setting.
fn first<'a>(environment: &'a Environment, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
    names.iter().find_map(|name| {
        let value = environment.filled(name)?;
        (!value.starts_with("tcp://")).then_some((*name, value))
    })
}
