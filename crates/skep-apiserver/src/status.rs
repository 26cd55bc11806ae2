//! Kubernetes' meta/v1 `Status`: how every request that fails is answered, over HTTP and in process.

use serde_json::{Value, json};

/// Why a request failed, in the words that clients of Kubernetes act on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason: `NotFound`, `Conflict`, `AlreadyExists`, `Invalid`, …
    pub reason: &'static str,
    /// The sentence that kubectl prints.
    pub message: String,
    /// What the request was about, and each cause.
    pub details: Option<Box<Details>>,
}

/// `Status.details`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// API group of the object; empty for core.
    pub group: String,
    /// Plural of the kind (or the kind, for `Invalid`), as Kubernetes does it.
    pub kind: String,
    /// One entry per field that is wrong or in conflict.
    pub causes: Vec<Cause>,
    /// Seconds after which a client may try again.
    pub retry_after_seconds: Option<u32>,
}

/// One cause of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldManagerConflict`, …
    pub reason: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// Path of the field, `spec.replicas`.
    pub field: String,
}

impl Status {
    /// A status with a code, a reason and a sentence.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// 400: the request can't be understood.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 404: `plural` is the resource with its group, `deployments.apps`.
    #[must_use]
    pub fn not_found(resource: &str, name: &str) -> Self {
        Self::about(404, "NotFound", format!("{resource} \"{name}\" not found"), resource, name)
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(resource: &str, name: &str) -> Self {
        Self::about(409, "AlreadyExists", format!("{resource} \"{name}\" already exists"), resource, name)
    }

    /// 409: somebody else wrote first, or a precondition does not hold.
    #[must_use]
    pub fn conflict(resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::about(409, "Conflict", message, resource, name)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(resource: &str, name: &str, why: &str) -> Self {
        Self::about(403, "Forbidden", format!("{resource} \"{name}\" is forbidden: {why}"), resource, name)
    }

    /// 422: the object was understood and is wrong. `kind` with its group: `Deployment.apps`.
    #[must_use]
    pub fn invalid(kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let each: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let what = match each.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", each.join(", ")),
        };
        let mut status =
            Self::about(422, "Invalid", format!("{kind} \"{name}\" is invalid: {what}"), kind, name);
        if let Some(details) = &mut status.details {
            details.causes = causes;
        }
        status
    }

    /// 410: the resourceVersion is older than what is kept.
    #[must_use]
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 405: the resource exists and can't do that.
    #[must_use]
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(405, "MethodNotAllowed", message)
    }

    /// 415: a body in an encoding that is not read here.
    #[must_use]
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 500: the server's own fault.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    fn about(code: u16, reason: &'static str, message: String, resource: &str, name: &str) -> Self {
        let (kind, group) = resource.split_once('.').unwrap_or((resource, ""));
        let details = Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            ..Details::default()
        };
        Self { code, reason, message, details: Some(Box::new(details)) }
    }

    /// Adds a cause.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// Asks clients to try again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }

    /// Whether the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.reason == "NotFound"
    }

    /// Whether somebody else wrote first, or a precondition failed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }

    /// Whether the name was taken.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }

    /// The body that goes over the wire.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(details) = &self.details {
            value["details"] = details.to_value();
        }
        value
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut value = json!({});
        for (key, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind)] {
            if !text.is_empty() {
                value[key] = Value::from(text.as_str());
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter();
            value["causes"] =
                causes.map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field})).collect();
        }
        if let Some(seconds) = self.retry_after_seconds {
            value["retryAfterSeconds"] = Value::from(seconds);
        }
        value
    }
}
