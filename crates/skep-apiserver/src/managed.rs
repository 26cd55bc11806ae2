//! Field ownership.
use serde_json::Value;

use crate::kind::Kind;
use crate::resources::Subresource;

pub(crate) fn after_update(
    _kind: Kind,
    object: &Value,
    live: Option<&Value>,
    _manager: &str,
    _part: Option<Subresource>,
) -> Option<Value> {
    object
        .pointer("/metadata/managedFields")
        .or_else(|| live?.pointer("/metadata/managedFields"))
        .cloned()
}
