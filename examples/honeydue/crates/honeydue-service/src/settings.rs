//! Reading the environment, once, at start: the one place where a process learns how it was configured.

use std::{str::FromStr, time::Duration};

/// A setting that is missing or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// It has no default.
    #[error("{name} is not set; it comes from {source_hint}")]
    Missing {
        /// The environment variable.
        name: &'static str,
        /// Which ConfigMap or Secret it usually comes from.
        source_hint: &'static str,
    },
    /// Its text makes no sense. The text itself is left out: it may be a secret.
    #[error("{name} is not {expected}")]
    Unreadable {
        /// The environment variable.
        name: &'static str,
        /// What was expected, as in "a port number".
        expected: &'static str,
    },
}

/// A setting's text; an empty one counts as absent, as in a ConfigMap key left blank.
#[must_use]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A setting's text, or its default.
#[must_use]
pub fn text(name: &str, default: &str) -> String {
    optional(name).unwrap_or_else(|| default.to_owned())
}

/// A setting from the generated ConfigMap that has no default.
///
/// # Errors
/// When it is absent or empty.
pub fn config(name: &'static str) -> Result<String, SettingError> {
    optional(name).ok_or(SettingError::Missing { name, source_hint: "the ConfigMap honeydue-config" })
}

/// A setting from the generated Secret that has no default.
///
/// # Errors
/// When it is absent or empty.
pub fn secret(name: &'static str) -> Result<String, SettingError> {
    secret_of("the Secret honeydue-secrets", name)
}

/// A setting from another Secret that has no default. `source_hint` names it, as in "the Secret honeydue-redis".
///
/// # Errors
/// When it is absent or empty.
pub fn secret_of(source_hint: &'static str, name: &'static str) -> Result<String, SettingError> {
    optional(name).ok_or(SettingError::Missing { name, source_hint })
}

/// A setting that is parsed, or its default.
///
/// # Errors
/// When it is there and is not `expected`.
pub fn parsed<T: FromStr>(name: &'static str, default: T, expected: &'static str) -> Result<T, SettingError> {
    match optional(name) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| SettingError::Unreadable { name, expected }),
    }
}

/// A setting in whole seconds, or its default.
///
/// # Errors
/// When it is there and is not a whole number.
pub fn seconds(name: &'static str, default: u64) -> Result<Duration, SettingError> {
    parsed(name, default, "a whole number of seconds").map(Duration::from_secs)
}
