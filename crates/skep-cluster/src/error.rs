//! What can go wrong between Skep and a cluster.

use std::path::PathBuf;

use kube::core::Status;
use thiserror::Error;

use crate::{
    LockError,
    kubeconfig::{KubeconfigError, login_fault},
};

/// A field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    /// `.spec.replicas`.
    pub field: String,
    /// The manager, such as `kubectl-edit`.
    pub manager: String,
}

/// A failure of the Kubernetes API or of the way to it.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The kubeconfig can't be used.
    #[error("{path} is not a usable kubeconfig: {why}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: KubeconfigError,
    },
    /// No answer at all. Worth retrying once the server is there.
    #[error("the cluster's API at {server} can't be reached: {why}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// The innermost cause.
        why: String,
    },
    /// The API answered with a refusal.
    #[error("{verb} {what}: {message}")]
    Refused {
        /// `apply`, `read`, …
        verb: &'static str,
        /// The object or path.
        what: String,
        /// HTTP status.
        code: u16,
        /// Kubernetes' reason, `Forbidden`.
        reason: String,
        /// The API's message.
        message: String,
    },
    /// Text of a pod that is not shown because it can't be redacted.
    #[error("{what} withheld: Secrets of namespace {namespace} can't be read: {why}")]
    Withheld {
        /// `log of api-7d9`.
        what: String,
        /// Its namespace.
        namespace: String,
        /// Why they can't.
        why: Box<ClusterError>,
    },
    /// The lock that it was to be written under is lost. It was not sent.
    #[error(transparent)]
    Fenced(Box<LockError>),
    /// Server-side apply found fields that others own.
    #[error("{object} has fields that others own: {}", list(.conflicts))]
    Conflict {
        /// The object.
        object: String,
        /// Each field and its owner.
        conflicts: Vec<FieldConflict>,
    },
    /// The cluster serves no such kind.
    #[error("the cluster serves no kind {kind} of {api_version}")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Its group and version.
        api_version: String,
    },
    /// An answer that is not what the API promises.
    #[error("the cluster's answer to {what} can't be read: {why}")]
    Answer {
        /// The request.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl From<LockError> for ClusterError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Cluster(error) => error,
            lost => Self::Fenced(Box::new(lost)),
        }
    }
}

impl ClusterError {
    /// The object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// The login lacks the right to do this.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code: 403, .. })
    }

    /// The object is there already, or was changed by somebody else.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. } | Self::Conflict { .. })
    }

    /// The object, or its change, is not one that the API takes.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused { code: 422, .. })
    }

    /// The same with another sentence of the API's: one that quotes a secret must not be shown.
    #[must_use]
    pub fn map_message(self, map: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Refused { verb, what, code, reason, message } => {
                Self::Refused { verb, what, code, reason, message: map(&message) }
            }
            other => other,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kubeconfig { why, .. } => Some(why.hint()),
            Self::Unreachable { .. } => Some("is the cluster up, and does the kubeconfig name the right server?".to_owned()),
            Self::Refused { code: 403, message, .. } if message.contains("being terminated") => {
                Some("the namespace is being deleted: wait for it to go, then deploy again".to_owned())
            }
            Self::Refused { code: 400, message, .. } if message.contains("unknown field") => {
                Some("correct the field's name or its indentation; `kubectl explain` knows them".to_owned())
            }
            Self::Refused { code: 401, .. } => Some("the kubeconfig's credentials were not accepted: renew them".to_owned()),
            Self::Refused { code: 403, .. } => {
                Some("ask the cluster's owner for this permission; `kubectl auth can-i --list` shows what you have".to_owned())
            }
            Self::Conflict { .. } => Some(
                "remove the field from the manifest if the other manager is right, or take it back with `kubectl apply --server-side --force-conflicts`".to_owned(),
            ),
            Self::UnknownKind { .. } => Some("install the CustomResourceDefinition first, or check `apiVersion` and `kind`".to_owned()),
            Self::Withheld { namespace, .. } => Some(format!(
                "ask for permission to list Secrets, by which output of pods is redacted; `kubectl logs -n {namespace}` shows logs as they are"
            )),
            Self::Fenced(_) => Some("nothing more was written; deploy again".to_owned()),
            Self::Refused { .. } | Self::Answer { .. } => None,
        }
    }

    pub(crate) fn from_kube(server: &str, verb: &'static str, what: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if !field_conflicts(&status).is_empty() => {
                Self::Conflict { object: what.to_owned(), conflicts: field_conflicts(&status) }
            }
            kube::Error::Api(status) => Self::Refused {
                verb,
                what: what.to_owned(),
                code: status.code,
                reason: status.reason.clone(),
                message: status.message.clone(),
            },
            kube::Error::SerdeError(error) => Self::Answer { what: what.to_owned(), why: error.to_string() },
            other => Self::Unreachable {
                server: server.to_owned(),
                why: login_error(&other).unwrap_or_else(|| innermost(&other)),
            },
        }
    }
}

/// Fields that others own, as a refused server-side apply tells of them.
pub(crate) fn field_conflicts(status: &Status) -> Vec<FieldConflict> {
    if status.code != 409 {
        return Vec::new();
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| FieldConflict { field: cause.field.clone(), manager: manager_in(&cause.message) })
        .collect()
}

/// The API says `conflict with "kubectl-edit" using apps/v1`; the name is what matters.
fn manager_in(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

/// A failure to renew the login. Its own text would repeat what an exec plugin printed.
fn login_error(error: &kube::Error) -> Option<String> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<kube::client::AuthError>() {
            return Some(format!("the exec plugin of the kubeconfig {}", login_fault(error)));
        }
        next = error.source();
    }
    None
}

/// The last cause of a chain: `connection refused` says more than the six layers around it.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn list(conflicts: &[FieldConflict]) -> String {
    conflicts.iter().map(|c| format!("{} (owned by {})", c.field, c.manager)).collect::<Vec<_>>().join(", ")
}
