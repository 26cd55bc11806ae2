//! `events.k8s.io/v1`.

use k8s_openapi::api::events::v1 as types;

use super::{BASE, LAX};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::table;

pub(super) static EVENT: KindInfo = KindInfo {
    group: "events.k8s.io",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    rules: Rules { decode: decode::<types::Event>, ..LAX },
    columns: &table::EVENTS,
    ..BASE
};
