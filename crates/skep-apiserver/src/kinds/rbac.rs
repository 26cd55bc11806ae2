//! `rbac.authorization.k8s.io/v1`.

use k8s_openapi::api::rbac::v1 as types;

use super::{BASE, LAX};
use crate::decode::decode;
use crate::defaults;
use crate::kind::{KindInfo, Rules};

const RBAC: KindInfo = KindInfo { group: "rbac.authorization.k8s.io", ..BASE };

pub(super) static ROLE: KindInfo = KindInfo {
    kind: "Role",
    plural: "roles",
    singular: "role",
    rules: Rules { decode: decode::<types::Role>, ..LAX },
    ..RBAC
};

pub(super) static ROLE_BINDING: KindInfo = KindInfo {
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    rules: Rules { decode: decode::<types::RoleBinding>, default: defaults::role_binding, ..LAX },
    ..RBAC
};

pub(super) static CLUSTER_ROLE: KindInfo = KindInfo {
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    namespaced: false,
    rules: Rules { decode: decode::<types::ClusterRole>, ..LAX },
    ..RBAC
};

pub(super) static CLUSTER_ROLE_BINDING: KindInfo = KindInfo {
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    namespaced: false,
    rules: Rules { decode: decode::<types::ClusterRoleBinding>, default: defaults::role_binding, ..LAX },
    ..RBAC
};
