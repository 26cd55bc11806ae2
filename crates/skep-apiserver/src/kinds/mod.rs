//! The kinds that are served, one table per API group.

mod apiextensions;
mod apps;
mod autoscaling;
mod batch;
mod coordination;
mod core;
mod discovery;
mod events;
mod networking;
mod policy;
mod rbac;
mod scheduling;
mod storage;

use crate::decode::decode_any;
use crate::kind::{Kind, KindInfo, Rules, Subresources};
use crate::table::DEFAULT_COLUMNS;

/// No subresource.
const NO_SUBRESOURCES: Subresources =
    Subresources { status: false, scale: false, log: false, eviction: false };
/// Only `/status`.
const STATUS: Subresources = Subresources { status: true, ..NO_SUBRESOURCES };
/// `/status` and `/scale`.
const SCALE: Subresources = Subresources { status: true, scale: true, ..NO_SUBRESOURCES };

/// Rules that let everything pass: what a kind does not name.
pub(crate) const LAX: Rules =
    Rules { decode: decode_any, default: |_| {}, validate: |_, _| {}, validate_update: |_, _, _| {} };

/// What most kinds have in common; a group's table names its group and version.
pub(crate) const BASE: KindInfo = KindInfo {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    subresources: NO_SUBRESOURCES,
    generation: false,
    refused: None,
    rules: LAX,
    columns: &DEFAULT_COLUMNS,
};

/// Makes the constants on [`Kind`] and the list of all of them.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $table:path;)*) => {
        impl Kind {
            $($(#[$doc])* pub const $name: Self = Self(&$table);)*
        }

        /// Every built-in kind, in the order in which discovery names them.
        pub(crate) const ALL: &[Kind] = &[$(Kind::$name),*];
    };
}

kinds! {
    /// `v1` Namespace.
    NAMESPACE = core::NAMESPACE;
    /// `v1` Node.
    NODE = core::NODE;
    /// `v1` Pod.
    POD = core::POD;
    /// `v1` Service.
    SERVICE = core::SERVICE;
    /// `v1` Endpoints.
    ENDPOINTS = core::ENDPOINTS;
    /// `v1` ConfigMap.
    CONFIG_MAP = core::CONFIG_MAP;
    /// `v1` Secret.
    SECRET = core::SECRET;
    /// `v1` ServiceAccount.
    SERVICE_ACCOUNT = core::SERVICE_ACCOUNT;
    /// `v1` PersistentVolumeClaim.
    PVC = core::PERSISTENT_VOLUME_CLAIM;
    /// `v1` PersistentVolume.
    PV = core::PERSISTENT_VOLUME;
    /// `v1` ResourceQuota.
    RESOURCE_QUOTA = core::RESOURCE_QUOTA;
    /// `v1` Event.
    EVENT = core::EVENT;
    /// `apps/v1` Deployment.
    DEPLOYMENT = apps::DEPLOYMENT;
    /// `apps/v1` ReplicaSet.
    REPLICA_SET = apps::REPLICA_SET;
    /// `apps/v1` StatefulSet.
    STATEFUL_SET = apps::STATEFUL_SET;
    /// `apps/v1` DaemonSet.
    DAEMON_SET = apps::DAEMON_SET;
    /// `apps/v1` ControllerRevision.
    CONTROLLER_REVISION = apps::CONTROLLER_REVISION;
    /// `batch/v1` Job.
    JOB = batch::JOB;
    /// `batch/v1` CronJob.
    CRON_JOB = batch::CRON_JOB;
    /// `autoscaling/v2` HorizontalPodAutoscaler.
    HPA = autoscaling::HORIZONTAL_POD_AUTOSCALER;
    /// `policy/v1` PodDisruptionBudget.
    PDB = policy::POD_DISRUPTION_BUDGET;
    /// `networking.k8s.io/v1` Ingress.
    INGRESS = networking::INGRESS;
    /// `networking.k8s.io/v1` IngressClass.
    INGRESS_CLASS = networking::INGRESS_CLASS;
    /// `networking.k8s.io/v1` NetworkPolicy.
    NETWORK_POLICY = networking::NETWORK_POLICY;
    /// `discovery.k8s.io/v1` EndpointSlice.
    ENDPOINT_SLICE = discovery::ENDPOINT_SLICE;
    /// `coordination.k8s.io/v1` Lease.
    LEASE = coordination::LEASE;
    /// `rbac.authorization.k8s.io/v1` Role.
    ROLE = rbac::ROLE;
    /// `rbac.authorization.k8s.io/v1` RoleBinding.
    ROLE_BINDING = rbac::ROLE_BINDING;
    /// `rbac.authorization.k8s.io/v1` ClusterRole.
    CLUSTER_ROLE = rbac::CLUSTER_ROLE;
    /// `rbac.authorization.k8s.io/v1` ClusterRoleBinding.
    CLUSTER_ROLE_BINDING = rbac::CLUSTER_ROLE_BINDING;
    /// `storage.k8s.io/v1` StorageClass.
    STORAGE_CLASS = storage::STORAGE_CLASS;
    /// `scheduling.k8s.io/v1` PriorityClass.
    PRIORITY_CLASS = scheduling::PRIORITY_CLASS;
    /// `apiextensions.k8s.io/v1` CustomResourceDefinition: known and refused.
    CUSTOM_RESOURCE_DEFINITION = apiextensions::CUSTOM_RESOURCE_DEFINITION;
    /// `events.k8s.io/v1` Event: another view of [`Kind::EVENT`]; nothing is stored under it.
    EVENT_V1 = events::EVENT;
}
