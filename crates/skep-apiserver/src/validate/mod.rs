//! What is wrong with an object, in Kubernetes' own sentences.
//!
//! Each kind's rules push [`Causes`]; an object with any is answered with 422 and all of them at once.

mod config;
mod labels;
mod pod;
mod service;
mod workload;

use std::fmt::Display;

use serde_json::Value;

use crate::kind::Kind;
use crate::meta;
use crate::names;
use crate::status::{Cause, Status};

pub(crate) use config::{
    config_map, immutable_data, persistent_volume_claim, persistent_volume_claim_update, resource_quota,
};
pub(crate) use config::{secret, secret_update};
pub(crate) use pod::{pod, pod_update};
pub(crate) use service::{ingress, service, service_update};
pub(crate) use workload::selector_unchanged;
pub(crate) use workload::{cron_job, daemon_set, stateful_set, stateful_set_update};
pub(crate) use workload::{deployment, horizontal_pod_autoscaler, job, job_update, replica_set};

/// The reasons why an object is wrong.
#[derive(Debug, Default)]
pub(crate) struct Causes(Vec<Cause>);

impl Causes {
    /// A value that can't be.
    pub(crate) fn invalid(&mut self, field: impl Into<String>, value: &dyn Display, why: &str) {
        let message = format!("Invalid value: {value}: {why}");
        self.0.push(Cause { reason: "FieldValueInvalid", message, field: field.into() });
    }

    /// A value that must be there.
    pub(crate) fn required(&mut self, field: impl Into<String>, why: &str) {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        self.0.push(Cause { reason: "FieldValueRequired", message, field: field.into() });
    }

    /// A value that is none of those there are.
    pub(crate) fn unsupported(&mut self, field: impl Into<String>, value: &str, known: &[&str]) {
        let known: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
        let message = format!("Unsupported value: \"{value}\": supported values: {}", known.join(", "));
        self.0.push(Cause { reason: "FieldValueNotSupported", message, field: field.into() });
    }

    /// A change that may not be made.
    pub(crate) fn forbidden(&mut self, field: impl Into<String>, why: &str) {
        let message = format!("Forbidden: {why}");
        self.0.push(Cause { reason: "FieldValueForbidden", message, field: field.into() });
    }

    /// The same value twice.
    pub(crate) fn duplicate(&mut self, field: impl Into<String>, value: &dyn Display) {
        let message = format!("Duplicate value: {value}");
        self.0.push(Cause { reason: "FieldValueDuplicate", message, field: field.into() });
    }

    /// More than there may be.
    pub(crate) fn too_long(&mut self, field: impl Into<String>, why: &str) {
        let message = format!("Too long: {why}");
        self.0.push(Cause { reason: "FieldValueTooLong", message, field: field.into() });
    }

    /// A name of something that isn't there.
    pub(crate) fn not_found(&mut self, field: impl Into<String>, value: &str) {
        let message = format!("Not found: \"{value}\"");
        self.0.push(Cause { reason: "FieldValueNotFound", message, field: field.into() });
    }

    /// The field differs although it may not.
    pub(crate) fn immutable(&mut self, field: &str, pointer: &str, new: &Value, old: &Value) {
        let (new, old) = (new.pointer(pointer), old.pointer(pointer));
        if new != old {
            let shown = new.cloned().unwrap_or_default();
            self.invalid(field, &shown, "field is immutable");
        }
    }

    /// 422 if there is any.
    pub(crate) fn into_result(self, kind: &str, name: &str) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(Status::invalid(kind, name, self.0)) }
    }
}

/// A string as messages show it.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Name, labels, annotations, finalizers.
pub(crate) fn metadata(kind: Kind, object: &Value, live: Option<&Value>, causes: &mut Causes) {
    let name = meta::name(object);
    let shown = quoted(name);
    if live.is_none() {
        if kind == Kind::SERVICE {
            if !(names::is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())) {
                causes.invalid("metadata.name", &shown, DNS_1035);
            }
        } else if kind == Kind::NAMESPACE {
            if !names::is_label(name) {
                causes.invalid("metadata.name", &shown, LABEL);
            }
        } else if kind.info().group == "rbac.authorization.k8s.io" {
            if name.contains(['/', '%']) || matches!(name, "." | "..") {
                causes.invalid("metadata.name", &shown, "may not contain '/' or '%'");
            }
        } else if !names::is_subdomain(name) {
            causes.invalid("metadata.name", &shown, SUBDOMAIN);
        }
    }
    labels::labels(object.pointer("/metadata/labels"), "metadata.labels", causes);
    labels::annotations(object, causes);
    for finalizer in meta::list(object, "/metadata/finalizers") {
        let text = finalizer.as_str().unwrap_or_default();
        if !names::is_qualified(text) {
            causes.invalid("metadata.finalizers", &quoted(text), "name part must be a qualified name");
        }
    }
    if let Some(live) = live.filter(|live| meta::is_deleting(live)) {
        let before = meta::list(live, "/metadata/finalizers");
        let added = meta::list(object, "/metadata/finalizers").iter().filter(|f| !before.contains(f));
        let added: Vec<&str> = added.filter_map(Value::as_str).collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            causes.forbidden("metadata.finalizers", &why);
        }
    }
}
