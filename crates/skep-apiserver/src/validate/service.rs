//! Rules.
use super::Causes;
use serde_json::Value;
pub(crate) fn ingress(_: &Value, _: &mut Causes) {}
pub(crate) fn service(_: &Value, _: &mut Causes) {}
pub(crate) fn service_update(_: &Value, _: &Value, _: &mut Causes) {}
