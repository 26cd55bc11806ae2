//! ResourceQuotas: what is used, told in their status. The API itself keeps to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skep_apiserver::Quantity;

use crate::action::{Action, Step};

/// Looks at one quota. `used`: how much of each resource its namespace uses.
pub(crate) fn step(quota: &Value, used: &BTreeMap<String, Quantity>) -> Step {
    let used: BTreeMap<&String, String> =
        used.iter().map(|(resource, amount)| (resource, amount.to_string())).collect();
    let status = json!({"hard": quota["spec"]["hard"], "used": used});
    Step { actions: Action::status(quota, status).into_iter().collect(), again: None }
}
