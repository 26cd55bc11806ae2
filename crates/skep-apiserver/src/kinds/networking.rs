//! `networking.k8s.io/v1`.

use k8s_openapi::api::networking::v1 as types;

use super::{BASE, LAX, STATUS};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::{defaults, table, validate};

const NETWORKING: KindInfo = KindInfo { group: "networking.k8s.io", generation: true, ..BASE };

pub(super) static INGRESS: KindInfo = KindInfo {
    kind: "Ingress",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    subresources: STATUS,
    rules: Rules { decode: decode::<types::Ingress>, validate: validate::ingress, ..LAX },
    columns: &table::INGRESSES,
    ..NETWORKING
};

pub(super) static INGRESS_CLASS: KindInfo = KindInfo {
    kind: "IngressClass",
    plural: "ingressclasses",
    singular: "ingressclass",
    namespaced: false,
    rules: Rules { decode: decode::<types::IngressClass>, ..LAX },
    ..NETWORKING
};

pub(super) static NETWORK_POLICY: KindInfo = KindInfo {
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    rules: Rules { decode: decode::<types::NetworkPolicy>, default: defaults::network_policy, ..LAX },
    ..NETWORKING
};
