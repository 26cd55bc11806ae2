//! Rules.
use super::Causes;
use serde_json::Value;
pub(crate) fn pod(_: &Value, _: &mut Causes) {}
pub(crate) fn pod_update(_: &Value, _: &Value, _: &mut Causes) {}
