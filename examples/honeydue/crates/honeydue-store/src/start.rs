//! What a service that keeps things does before it serves: connect, then refuse to go on with the wrong schema.

use std::{process::ExitCode, time::Duration};

use honeydue_service::{SettingError, settings};
use skep_migrate::{SCHEMA_EXIT_CODE, SchemaError};
use sqlx::postgres::PgSslMode;

use crate::{DatabaseSettings, Store};

/// Why a service cannot start on its database.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It was configured wrongly.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database did not answer for as long as was waited for it.
    #[error("the database at {host}:{port} did not answer within {} s", patience.as_secs())]
    Unreachable {
        /// Where it was looked for.
        host: String,
        /// Its port.
        port: u16,
        /// How long was waited.
        patience: Duration,
        /// The last attempt's failure.
        #[source]
        source: sqlx::Error,
    },
    /// The schema is not the one that this build needs.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl StartError {
    /// [`SCHEMA_EXIT_CODE`] when only a migration helps, so that whoever watches the rollout need not wait; 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Schema(error) if error.is_final() => ExitCode::from(SCHEMA_EXIT_CODE),
            Self::Schema(_) | Self::Setting(_) | Self::Unreachable { .. } => ExitCode::FAILURE,
        }
    }

    /// The message and its causes in one line, for a log.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl DatabaseSettings {
    /// Reads `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER`, `DB_PASSWORD`, `DB_SSLMODE` and `DB_CONNECTIONS`.
    ///
    /// # Errors
    /// When one that has no default is missing, or one cannot be read.
    pub fn from_environment() -> Result<Self, SettingError> {
        Ok(Self {
            host: settings::config("DB_HOST")?,
            port: settings::parsed("DB_PORT", 5432, "a port number")?,
            name: settings::text("DB_NAME", "honeydue"),
            user: settings::text("DB_USER", "honeydue"),
            password: settings::secret("DB_PASSWORD")?,
            ssl_mode: settings::parsed(
                "DB_SSLMODE",
                PgSslMode::Prefer,
                "one of disable, allow, prefer, require, verify-ca, verify-full",
            )?,
            connections: settings::parsed("DB_CONNECTIONS", 10, "a number of connections")?,
        })
    }
}

impl Store {
    /// Connects as the environment says, waiting up to `DB_WAIT_SECONDS` (60 if absent), and checks the schema. Answers the
    /// store and the schema's version.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start() -> Result<(Self, i64), StartError> {
        let settings = DatabaseSettings::from_environment()?;
        let patience = settings::seconds("DB_WAIT_SECONDS", 60)?;
        let store = Self::connect(&settings, patience).await.map_err(|source| StartError::Unreachable {
            host: settings.host,
            port: settings.port,
            patience,
            source,
        })?;
        let schema = store.require_schema().await?;
        tracing::info!(schema, needed = crate::NEWEST_MIGRATION, "the schema is as this build needs it");
        Ok((store, schema))
    }
}
