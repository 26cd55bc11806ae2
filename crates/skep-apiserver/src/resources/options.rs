//! How a write is meant.

use std::sync::Arc;

use serde_json::Value;

use crate::decode::FieldValidation;

/// A change to an object, in one of the four ways that Kubernetes knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// RFC 7396: maps are merged, null deletes, lists are replaced.
    Merge(Value),
    /// As merge, but lists whose elements have keys are merged too, with `$patch` directives.
    Strategic(Value),
    /// RFC 6902: a list of operations.
    Json(Value),
    /// Server-side apply: the fields that the manager wants, in full.
    Apply(Value),
}

/// Which part of an object a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// `status`, and nothing else.
    Status,
    /// The `autoscaling/v1` Scale.
    Scale,
}

/// Options of [`Resources::patch`](crate::Resources::patch).
#[derive(Debug, Clone, Default)]
pub struct PatchOptions {
    /// The field manager: who owns the fields that are set.
    pub manager: String,
    /// Server-side apply takes fields that other managers own.
    pub force: bool,
    /// The part that is written.
    pub subresource: Option<Subresource>,
    /// Everything but the write.
    pub dry_run: bool,
}

/// What happens to the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// What must be true of an object for it to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// It is this very object, not another one of the name.
    pub uid: Option<String>,
    /// Nobody has changed it.
    pub resource_version: Option<String>,
}

/// Options of [`Resources::delete`](crate::Resources::delete).
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Seconds a pod has to stop; the pod's own wish if none. 0 takes the object away at once.
    pub grace_seconds: Option<u64>,
    /// What happens to what it owns; [`Propagation::Background`] if none.
    pub propagation: Option<Propagation>,
    /// What must be true for it to happen.
    pub preconditions: Preconditions,
    /// Everything but the deletion.
    pub dry_run: bool,
}

/// Options of any write, as HTTP knows them.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    pub(crate) manager: String,
    pub(crate) force: bool,
    pub(crate) subresource: Option<Subresource>,
    pub(crate) dry_run: bool,
    pub(crate) validation: FieldValidation,
}

impl WriteOptions {
    /// A plain write in the name of a field manager.
    pub(crate) fn by(manager: &str) -> Self {
        Self { manager: manager.to_owned(), ..Self::default() }
    }
}

impl From<PatchOptions> for WriteOptions {
    fn from(options: PatchOptions) -> Self {
        let PatchOptions { manager, force, subresource, dry_run } = options;
        Self { manager, force, subresource, dry_run, validation: FieldValidation::Strict }
    }
}

/// What a write led to.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Value>,
    /// Whether the object is new.
    pub(crate) created: bool,
    /// What the client should be told although it worked.
    pub(crate) warnings: Vec<String>,
}
