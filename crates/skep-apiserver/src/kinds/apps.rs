//! `apps/v1`. Kinds without a controller here are known, so that the refusal says why.

use k8s_openapi::api::apps::v1 as types;

use super::{BASE, LAX, SCALE};
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
    refused: Some(
        "hive has no StatefulSet controller: use a Deployment with strategy Recreate and a PersistentVolumeClaim",
    ),
    rules: Rules { decode: decode::<types::StatefulSet>, ..LAX },
    ..APPS
};

pub(super) static DAEMON_SET: KindInfo = KindInfo {
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    refused: Some(
        "hive has no DaemonSet controller: on its one node a Deployment with one replica does the same",
    ),
    rules: Rules { decode: decode::<types::DaemonSet>, ..LAX },
    ..APPS
};
