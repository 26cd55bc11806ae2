//! What a controller's step wants done, as values.
//!
//! A step reads objects and the time and returns a [`Step`]; the loop in [`crate::reconcile`] carries it out. So every
//! decision can be tested in a table, and no controller holds a client.

use jiff::Timestamp;
use serde_json::{Value, json};
use skep_apiserver::Propagation;

use crate::kind::Kind;
use crate::object;

/// Which object an action is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// "" for cluster-scoped kinds.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The object's UID: an action decided about one object never lands on its namesake.
    pub(crate) uid: String,
}

impl Target {
    pub(crate) fn of(kind: Kind, object: &Value) -> Self {
        Self {
            kind,
            namespace: object::namespace(object).to_owned(),
            name: object::name(object).to_owned(),
            uid: object::uid(object).to_owned(),
        }
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Create(Value),
    /// An RFC 7396 merge patch. A `metadata.resourceVersion` inside makes it conditional.
    Patch {
        target: Target,
        patch: Value,
    },
    /// Replaces the status of `object` (which carries its new status) whatever its resourceVersion: each status has
    /// one writer.
    Status(Value),
    Delete {
        target: Target,
        propagation: Propagation,
    },
    /// Ends the deletion of a namespace that is empty.
    FinalizeNamespace(String),
    Event {
        about: Value,
        reason: &'static str,
        message: String,
        warning: bool,
    },
}

impl Action {
    pub(crate) fn event(about: &Value, reason: &'static str, message: impl Into<String>) -> Self {
        Self::Event { about: object::reference(about), reason, message: message.into(), warning: false }
    }

    pub(crate) fn warning(about: &Value, reason: &'static str, message: impl Into<String>) -> Self {
        Self::Event { about: object::reference(about), reason, message: message.into(), warning: true }
    }

    pub(crate) fn delete(kind: Kind, object: &Value) -> Self {
        Self::Delete { target: Target::of(kind, object), propagation: Propagation::Background }
    }

    /// A patch that fails with a conflict if the object is no longer the one that was looked at.
    pub(crate) fn patch(kind: Kind, object: &Value, mut patch: Value) -> Self {
        let version = object::text(object, "/metadata/resourceVersion");
        if !version.is_empty() {
            patch["metadata"]["resourceVersion"] = json!(version);
        }
        Self::Patch { target: Target::of(kind, object), patch }
    }

    /// The status write for `object`, if `status` says anything new.
    pub(crate) fn status(object: &Value, status: Value) -> Option<Self> {
        let old = object.get("status").map(object::normal).unwrap_or_else(|| json!({}));
        if old == object::normal(&status) {
            return None;
        }
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
            metadata.remove("managedFields");
        }
        object["status"] = status;
        Some(Self::Status(object))
    }
}

/// The outcome of looking once at an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// In order; a failed one ends the step, and the object is looked at again.
    pub(crate) actions: Vec<Action>,
    /// When to look again though nothing changed, for what only time decides.
    pub(crate) again: Option<Timestamp>,
}

impl Step {
    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Asks to be looked at again at `at`, or earlier if that was asked for already.
    pub(crate) fn at(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |earlier| earlier.min(at)));
    }

    /// Writes `status` if it says anything new, and only then does what goes with it (an event is told once).
    pub(crate) fn extend_status(&mut self, object: &Value, status: Value, then: impl FnOnce(&mut Self)) {
        if let Some(write) = Action::status(object, status) {
            self.push(write);
            then(self);
        }
    }
}
