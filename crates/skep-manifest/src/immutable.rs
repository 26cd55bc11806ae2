//! Fields that Kubernetes doesn't let change: such a change needs the object to be recreated.

use serde_json::Value;

use crate::compare::{Difference, changes};

/// By kind, the fields that stay as they were created; a trailing `*` takes in all that is below. From the validation of the
/// Kubernetes API, 1.36.
const IMMUTABLE: &[(&str, &[&str])] = &[
    ("Deployment", &["spec.selector*"]),
    ("DaemonSet", &["spec.selector*"]),
    ("ReplicaSet", &["spec.selector*"]),
    ("ReplicationController", &["spec.selector*"]),
    (
        "StatefulSet",
        &["spec.selector*", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates*"],
    ),
    (
        "Job",
        &[
            "spec.template*",
            "spec.selector*",
            "spec.completions",
            "spec.completionMode",
            "spec.podFailurePolicy*",
            "spec.successPolicy*",
            "spec.backoffLimitPerIndex",
            "spec.managedBy",
        ],
    ),
    ("Pod", &["spec*"]),
    ("Service", &["spec.clusterIP", "spec.clusterIPs*", "spec.loadBalancerClass"]),
    ("Secret", &["type"]),
    (
        "PersistentVolumeClaim",
        &[
            "spec.accessModes*",
            "spec.storageClassName",
            "spec.volumeName",
            "spec.volumeMode",
            "spec.selector*",
            "spec.dataSource*",
            "spec.dataSourceRef*",
        ],
    ),
    ("StorageClass", &["provisioner", "parameters*", "reclaimPolicy", "volumeBindingMode"]),
    ("RoleBinding", &["roleRef*"]),
    ("ClusterRoleBinding", &["roleRef*"]),
    ("IngressClass", &["spec.controller"]),
    ("PriorityClass", &["value", "preemptionPolicy"]),
    ("RuntimeClass", &["handler"]),
    ("ResourceQuota", &["spec.scopes*", "spec.scopeSelector*"]),
    ("EndpointSlice", &["addressType"]),
];

/// Of a Pod's spec, what may change.
const MUTABLE_OF_A_POD: &[&str] = &[
    "spec.activeDeadlineSeconds",
    "spec.tolerations",
    "spec.schedulingGates",
    "spec.terminationGracePeriodSeconds",
];

/// Returns what applying `desired` as `manager` would change in `live` of the fields that can't be changed in place.
pub fn immutable_changes(live: &Value, desired: &Value, manager: &str) -> Vec<Difference> {
    let kind = desired.get("kind").and_then(Value::as_str).unwrap_or_default();
    let table = IMMUTABLE.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, fields)| fields);
    let is_frozen = live.get("immutable") == Some(&Value::Bool(true));
    let is_immutable = |path: &str| {
        let data =
            is_frozen && ["data", "binaryData", "stringData", "immutable"].iter().any(|it| below(path, it));
        let is_a_pods = kind == "Pod"
            && (MUTABLE_OF_A_POD.iter().any(|field| below(path, field)) || path.ends_with("].image"));
        let listed = table.iter().any(|field| match field.strip_suffix('*') {
            Some(field) => below(path, field),
            None => path == *field,
        });
        data || listed && !is_a_pods
    };
    let mut found = changes(live, desired, manager);
    found.retain(|difference| is_immutable(&difference.path));
    found
}

fn below(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
