//! The kinds that hive's controllers deal with.

pub(crate) use skep_apiserver::Kind;

/// Every kind that can be owned, own something, or keep a namespace from going.
pub(crate) const ALL: &[Kind] = &[
    Kind::NAMESPACE,
    Kind::NODE,
    Kind::POD,
    Kind::SERVICE,
    Kind::ENDPOINTS,
    Kind::CONFIG_MAP,
    Kind::SECRET,
    Kind::SERVICE_ACCOUNT,
    Kind::PVC,
    Kind::PV,
    Kind::RESOURCE_QUOTA,
    Kind::EVENT,
    Kind::DEPLOYMENT,
    Kind::REPLICA_SET,
    Kind::STATEFUL_SET,
    Kind::DAEMON_SET,
    Kind::CONTROLLER_REVISION,
    Kind::JOB,
    Kind::CRON_JOB,
    Kind::HPA,
    Kind::PDB,
    Kind::INGRESS,
    Kind::INGRESS_CLASS,
    Kind::NETWORK_POLICY,
    Kind::ENDPOINT_SLICE,
    Kind::LEASE,
    Kind::ROLE,
    Kind::ROLE_BINDING,
    Kind::CLUSTER_ROLE,
    Kind::CLUSTER_ROLE_BINDING,
    Kind::STORAGE_CLASS,
    Kind::PRIORITY_CLASS,
];
