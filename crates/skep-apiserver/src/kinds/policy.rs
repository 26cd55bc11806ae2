//! `policy/v1`.

use k8s_openapi::api::policy::v1 as types;

use super::{BASE, LAX, STATUS};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::table;

pub(super) static POD_DISRUPTION_BUDGET: KindInfo = KindInfo {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    subresources: STATUS,
    generation: true,
    rules: Rules { decode: decode::<types::PodDisruptionBudget>, ..LAX },
    columns: &table::POD_DISRUPTION_BUDGETS,
    ..BASE
};
