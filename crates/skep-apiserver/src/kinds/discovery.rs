//! `discovery.k8s.io/v1`.

use k8s_openapi::api::discovery::v1 as types;

use super::{BASE, LAX};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::{defaults, table};

pub(super) static ENDPOINT_SLICE: KindInfo = KindInfo {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    generation: true,
    rules: Rules { decode: decode::<types::EndpointSlice>, default: defaults::endpoint_slice, ..LAX },
    columns: &table::ENDPOINT_SLICES,
    ..BASE
};
