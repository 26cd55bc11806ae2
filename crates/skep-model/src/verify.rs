//! What proves that a release works.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// One proof. Kept with each release, so that one that comes again is asked what it was asked then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A URL that must answer well.
    Url(UrlCheck),
    /// A command that must end with 0.
    Run(RunCheck),
}

/// A URL, and what is a good answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UrlCheck {
    /// `https://api.example.com/api/health/`. On `local`, `:8080` of a `*.localhost` host means hive's ingress port, whatever it is.
    pub url: String,
    /// Statuses that are good; 2xx and 3xx when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// What the body must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How long one answer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faster_than: Option<Duration>,
    /// For how many days the certificate must be good still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_days: Option<u32>,
    /// How long it may take until it answers well.
    pub within: Duration,
}

/// A command with the image, the config and the secrets of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunCheck {
    /// The service.
    pub service: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take until it has ended well; one that ends badly before is tried again.
    pub within: Duration,
}

impl Check {
    /// How long it may take.
    #[must_use]
    pub fn within(&self) -> Duration {
        match self {
            Self::Url(check) => check.within,
            Self::Run(check) => check.within,
        }
    }
}

impl UrlCheck {
    /// Whether a status is a good one.
    #[must_use]
    pub fn takes(&self, status: u16) -> bool {
        match self.status.as_slice() {
            [] => (200..400).contains(&status),
            some => some.contains(&status),
        }
    }
}

/// As people know it: the URL, or `api: /api selfcheck`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(check) => f.write_str(&check.url),
            Self::Run(check) => write!(f, "{}: {}", check.service, check.command.join(" ")),
        }
    }
}
