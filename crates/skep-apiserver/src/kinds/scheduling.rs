//! `scheduling.k8s.io/v1`.

use k8s_openapi::api::scheduling::v1 as types;

use super::{BASE, LAX};
use crate::decode::decode;
use crate::defaults;
use crate::kind::{KindInfo, Rules};

pub(super) static PRIORITY_CLASS: KindInfo = KindInfo {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    namespaced: false,
    rules: Rules { decode: decode::<types::PriorityClass>, default: defaults::priority_class, ..LAX },
    ..BASE
};
