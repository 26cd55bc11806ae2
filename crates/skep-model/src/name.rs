//! Names that become Kubernetes names.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of an app: a DNS-1123 label of at most 40 characters, so that every name derived from it
/// (`skep.<app>.v<N>`, `<app>-migrate-<hash>`) stays within Kubernetes' 63.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// A name that Kubernetes would refuse.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{name}` can't name an app: {why}")]
pub struct NameError {
    /// The text as given.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl AppName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let wrong = |why| Err(NameError { name: name.to_owned(), why });
        if name.is_empty() {
            return wrong("it is empty");
        }
        if name.len() > 40 {
            return wrong("it is longer than 40 characters");
        }
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return wrong("only lower-case letters, digits and `-` are allowed");
        }
        if name.starts_with('-') || name.ends_with('-') {
            return wrong("it must begin and end with a letter or digit");
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AppName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        name.parse()
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        assert!("honeydue".parse::<AppName>().is_ok());
        for (name, why) in
            [("", "empty"), ("Honey", "lower-case"), ("-a", "begin"), (&"a".repeat(41), "longer")]
        {
            let error = name.parse::<AppName>().expect_err(name);
            assert!(error.why.contains(why), "{error}");
        }
    }
}
