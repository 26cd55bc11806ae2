//! The core group, `v1`.

use k8s_openapi::api::core::v1 as types;

use super::{BASE, LAX, NO_SUBRESOURCES, STATUS};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules, Subresources};
use crate::{defaults, table, validate};

pub(super) static NAMESPACE: KindInfo = KindInfo {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    subresources: STATUS,
    rules: Rules { decode: decode::<types::Namespace>, default: defaults::namespace, ..LAX },
    columns: &table::NAMESPACES,
    ..BASE
};

pub(super) static NODE: KindInfo = KindInfo {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    subresources: STATUS,
    rules: Rules { decode: decode::<types::Node>, ..LAX },
    columns: &table::NODES,
    ..BASE
};

pub(super) static POD: KindInfo = KindInfo {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    subresources: Subresources { status: true, log: true, eviction: true, ..NO_SUBRESOURCES },
    generation: true,
    rules: Rules {
        decode: decode::<types::Pod>,
        default: defaults::pod,
        validate: validate::pod,
        validate_update: validate::pod_update,
    },
    columns: &table::PODS,
    ..BASE
};

pub(super) static SERVICE: KindInfo = KindInfo {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    subresources: STATUS,
    rules: Rules {
        decode: decode::<types::Service>,
        default: defaults::service,
        validate: validate::service,
        validate_update: validate::service_update,
    },
    columns: &table::SERVICES,
    ..BASE
};

pub(super) static ENDPOINTS: KindInfo = KindInfo {
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    rules: Rules { decode: decode::<types::Endpoints>, default: defaults::endpoints, ..LAX },
    columns: &table::ENDPOINTS,
    ..BASE
};

pub(super) static CONFIG_MAP: KindInfo = KindInfo {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    rules: Rules {
        decode: decode::<types::ConfigMap>,
        default: |_| {},
        validate: validate::config_map,
        validate_update: validate::immutable_data,
    },
    columns: &table::CONFIG_MAPS,
    ..BASE
};

pub(super) static SECRET: KindInfo = KindInfo {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    rules: Rules {
        decode: decode::<types::Secret>,
        default: defaults::secret,
        validate: validate::secret,
        validate_update: validate::secret_update,
    },
    columns: &table::SECRETS,
    ..BASE
};

pub(super) static SERVICE_ACCOUNT: KindInfo = KindInfo {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    rules: Rules { decode: decode::<types::ServiceAccount>, ..LAX },
    ..BASE
};

pub(super) static PERSISTENT_VOLUME_CLAIM: KindInfo = KindInfo {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    subresources: STATUS,
    rules: Rules {
        decode: decode::<types::PersistentVolumeClaim>,
        default: defaults::persistent_volume_claim,
        validate: validate::persistent_volume_claim,
        validate_update: validate::persistent_volume_claim_update,
    },
    columns: &table::PERSISTENT_VOLUME_CLAIMS,
    ..BASE
};

pub(super) static PERSISTENT_VOLUME: KindInfo = KindInfo {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    namespaced: false,
    subresources: STATUS,
    rules: Rules { decode: decode::<types::PersistentVolume>, ..LAX },
    columns: &table::PERSISTENT_VOLUMES,
    ..BASE
};

pub(super) static RESOURCE_QUOTA: KindInfo = KindInfo {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    subresources: STATUS,
    rules: Rules { decode: decode::<types::ResourceQuota>, validate: validate::resource_quota, ..LAX },
    columns: &table::RESOURCE_QUOTAS,
    ..BASE
};

pub(super) static EVENT: KindInfo = KindInfo {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    rules: Rules { decode: decode::<types::Event>, ..LAX },
    columns: &table::EVENTS,
    ..BASE
};
