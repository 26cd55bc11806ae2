//! How a registry can fail, in the words of who must fix it.

use std::{io, path::PathBuf};

use skep_model::{Digest, Platform};
use thiserror::Error;

use crate::DockerConfigError;

/// Where a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The registry, as image references name it.
    pub registry: String,
    /// What was meant: an image reference, or a repository and a blob's digest.
    pub subject: String,
    /// `push`, `pull`, `resolve`, `log in`.
    pub action: &'static str,
}

/// A registry call that failed. The error's text names what and where; [`RegistryError::hint`] says what to do.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The registry answered that it has no such thing. Trying again won't help.
    #[error("{} is not in the registry {}{}", at.subject, at.registry, told(message))]
    NotFound {
        /// Where.
        at: Box<At>,
        /// The registry's own words.
        message: Option<String>,
    },
    /// The registry refused: no login, a wrong one, or one without the right. Trying again won't help.
    #[error("the registry {} refused to {} {} ({}, HTTP {status}){}", at.registry, at.action, at.subject, who(account), told(message))]
    Denied {
        /// Where.
        at: Box<At>,
        /// Who was logged in.
        account: Option<String>,
        /// 401 or 403.
        status: u16,
        /// The registry's own words.
        message: Option<String>,
    },
    /// No answer: name not known, refused, dropped, silent for too long. Every retry has failed.
    #[error("the registry {} did not answer: cannot {} {} ({tries} tries)", at.registry, at.action, at.subject)]
    Unreachable {
        /// Where.
        at: Box<At>,
        /// How often it was tried.
        tries: u32,
        /// The last try's cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that the protocol doesn't have for this call, or one that stayed bad (5xx, 429) over every retry.
    #[error("the registry {} answered HTTP {status}: cannot {} {}{}", at.registry, at.action, at.subject, told(message))]
    Unexpected {
        /// Where.
        at: Box<At>,
        /// The status.
        status: u16,
        /// The registry's own words.
        message: Option<String>,
    },
    /// Content that is not what its digest says.
    #[error("{} from the registry {} is damaged: expected {expected}, found {found}", at.subject, at.registry)]
    DigestMismatch {
        /// Where.
        at: Box<At>,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// An answer that is no document of this kind.
    #[error("the registry {} answered nonsense for {}: expected {expected}", at.registry, at.subject)]
    Malformed {
        /// Where.
        at: Box<At>,
        /// What it should have been.
        expected: &'static str,
        /// What is wrong with it, when there is more to say.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The image isn't made for the platform that is needed.
    #[error("{} is not built for {wanted}: it is for {}", at.subject, list(found))]
    NoSuchPlatform {
        /// Where.
        at: Box<At>,
        /// The platform that was asked for.
        wanted: Platform,
        /// Those that it has.
        found: Vec<Platform>,
    },
    /// Another tool's login was to be used, and can't be.
    #[error(transparent)]
    Login(#[from] DockerConfigError),
    /// A file of this machine could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The client could not be set up: no usable root certificates, no TLS provider.
    #[error("cannot set up TLS for the registry {registry}")]
    Tls {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RegistryError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { at, .. } if at.action == "push" => format!(
                "does the registry {} allow this repository name? some want the project to exist first",
                at.registry
            ),
            Self::NotFound { at, .. } => format!("check its spelling: `{}`", at.subject),
            Self::Denied { at, account: None, .. } => format!(
                "nobody is logged in to {0}: set `registry.username` and `registry.password` in skep.yaml, or `docker login {0}`",
                at.registry
            ),
            Self::Login(DockerConfigError::Helper { helper, registry, .. }) => {
                format!(
                    "try it by hand: `echo {registry} | {helper} get`; or set `registry.username` and `registry.password` in skep.yaml"
                )
            }
            Self::Login(DockerConfigError::File { .. }) => {
                "mend it, or remove it and log in again".to_owned()
            }
            Self::Denied { at, account: Some(account), status: 401, .. } => {
                format!("check the password of `{account}` for {}", at.registry)
            }
            Self::Denied { at, account: Some(account), .. } => {
                format!("`{account}` needs the right to {} here", at.action)
            }
            Self::Unreachable { at, .. } => {
                format!("is {} the right host and port, and is it up?", at.registry)
            }
            Self::Unexpected { status: 413, .. } => {
                "something in front of the registry limits the size of an upload".to_owned()
            }
            Self::Unexpected { status: 507, .. } => {
                "the registry's disk is full: make room there, then try again".to_owned()
            }
            Self::Unexpected { status: 429, .. } => "wait, or log in: accounts have higher limits".to_owned(),
            Self::Unexpected { status: 500.., .. } => "the registry's own log knows more".to_owned(),
            Self::DigestMismatch { .. } => {
                "try again; if it stays, the registry's storage is damaged".to_owned()
            }
            Self::NoSuchPlatform { wanted, .. } => format!("build it for {wanted}, or name another image"),
            Self::Tls { .. } => "are root certificates installed (Debian: `ca-certificates`)?".to_owned(),
            Self::Unexpected { .. } | Self::Malformed { .. } | Self::File { .. } => return None,
        })
    }

    /// True when trying again later may help, with nothing changed by anyone here.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Unexpected { status, .. } => *status == 429 || *status >= 500 && *status != 507,
            _ => false,
        }
    }

    /// True when the registry answered that it has no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

fn told(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!("; it says: {message}")).unwrap_or_default()
}

fn who(account: &Option<String>) -> String {
    match account {
        Some(account) => format!("logged in as `{account}`"),
        None => "not logged in".to_owned(),
    }
}

fn list(platforms: &[Platform]) -> String {
    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return "no known platform".to_owned();
    }
    names.join(", ")
}
