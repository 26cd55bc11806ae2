//! Rules.
use super::Causes;
use serde_json::Value;
pub(crate) fn config_map(_: &Value, _: &mut Causes) {}
pub(crate) fn persistent_volume_claim(_: &Value, _: &mut Causes) {}
pub(crate) fn secret(_: &Value, _: &mut Causes) {}
pub(crate) fn immutable_data(_: &Value, _: &Value, _: &mut Causes) {}
pub(crate) fn persistent_volume_claim_update(_: &Value, _: &Value, _: &mut Causes) {}
pub(crate) fn secret_update(_: &Value, _: &Value, _: &mut Causes) {}
