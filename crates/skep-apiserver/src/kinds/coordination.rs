//! `coordination.k8s.io/v1`.

use k8s_openapi::api::coordination::v1 as types;

use super::{BASE, LAX};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::table;

pub(super) static LEASE: KindInfo = KindInfo {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    rules: Rules { decode: decode::<types::Lease>, ..LAX },
    columns: &table::LEASES,
    ..BASE
};
