//! `autoscaling/v2`. The `autoscaling/v1` Scale is a subresource, see `resources::scale`.

use k8s_openapi::api::autoscaling::v2 as types;

use super::{BASE, LAX, STATUS};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::{defaults, table, validate};

pub(super) static HORIZONTAL_POD_AUTOSCALER: KindInfo = KindInfo {
    group: "autoscaling",
    version: "v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    subresources: STATUS,
    rules: Rules {
        decode: decode::<types::HorizontalPodAutoscaler>,
        default: defaults::horizontal_pod_autoscaler,
        validate: validate::horizontal_pod_autoscaler,
        ..LAX
    },
    columns: &table::HORIZONTAL_POD_AUTOSCALERS,
    ..BASE
};
