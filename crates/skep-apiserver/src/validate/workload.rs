//! Rules.
use super::Causes;
use serde_json::Value;
pub(crate) fn deployment(_: &Value, _: &mut Causes) {}
pub(crate) fn horizontal_pod_autoscaler(_: &Value, _: &mut Causes) {}
pub(crate) fn job(_: &Value, _: &mut Causes) {}
pub(crate) fn replica_set(_: &Value, _: &mut Causes) {}
pub(crate) fn job_update(_: &Value, _: &Value, _: &mut Causes) {}
pub(crate) fn selector_unchanged(_: &Value, _: &Value, _: &mut Causes) {}
