//! `apps/v1`.

use k8s_openapi::api::apps::v1 as types;

use super::{BASE, LAX, NO_SUBRESOURCES, SCALE, STATUS};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::{defaults, table, validate};

const APPS: KindInfo = KindInfo { group: "apps", categories: &["all"], generation: true, ..BASE };

pub(super) static DEPLOYMENT: KindInfo = KindInfo {
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    subresources: SCALE,
    rules: Rules {
        decode: decode::<types::Deployment>,
        default: defaults::deployment,
        validate: validate::deployment,
        validate_update: validate::selector_unchanged,
    },
    columns: &table::DEPLOYMENTS,
    ..APPS
};

pub(super) static REPLICA_SET: KindInfo = KindInfo {
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    subresources: SCALE,
    rules: Rules {
        decode: decode::<types::ReplicaSet>,
        default: defaults::replica_set,
        validate: validate::replica_set,
        validate_update: validate::selector_unchanged,
    },
    columns: &table::REPLICA_SETS,
    ..APPS
};

pub(super) static STATEFUL_SET: KindInfo = KindInfo {
    kind: "StatefulSet",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    subresources: SCALE,
    rules: Rules {
        decode: decode::<types::StatefulSet>,
        default: defaults::stateful_set,
        validate: validate::stateful_set,
        validate_update: validate::stateful_set_update,
    },
    columns: &table::STATEFUL_SETS,
    ..APPS
};

pub(super) static DAEMON_SET: KindInfo = KindInfo {
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    subresources: STATUS,
    rules: Rules {
        decode: decode::<types::DaemonSet>,
        default: defaults::daemon_set,
        validate: validate::daemon_set,
        validate_update: validate::selector_unchanged,
    },
    columns: &table::DAEMON_SETS,
    ..APPS
};

/// A template that a StatefulSet or DaemonSet has had.
pub(super) static CONTROLLER_REVISION: KindInfo = KindInfo {
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    subresources: NO_SUBRESOURCES,
    categories: &[],
    generation: false,
    rules: Rules { decode: decode::<types::ControllerRevision>, ..LAX },
    columns: &table::CONTROLLER_REVISIONS,
    ..APPS
};
