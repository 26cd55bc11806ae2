//! Fields that Kubernetes doesn't let change: such a change needs the object to be made anew.

use serde_json::Value;

use crate::compare::{Difference, changes};

/// By kind, the fields that stay as they were made; a trailing `*` takes in all that is below.
const IMMUTABLE: &[(&str, &[&str])] = &[
    ("Deployment", &["spec.selector*"]),
    ("DaemonSet", &["spec.selector*"]),
    ("ReplicaSet", &["spec.selector*"]),
    (
        "StatefulSet",
        &["spec.selector*", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates*"],
    ),
    ("Job", &["spec.template*", "spec.selector*", "spec.completionMode", "spec.manualSelector"]),
    ("Service", &["spec.clusterIP", "spec.clusterIPs*"]),
    (
        "PersistentVolumeClaim",
        &[
            "spec.accessModes*",
            "spec.storageClassName",
            "spec.volumeName",
            "spec.volumeMode",
            "spec.selector*",
        ],
    ),
    ("StorageClass", &["provisioner", "parameters*", "reclaimPolicy", "volumeBindingMode"]),
    ("RoleBinding", &["roleRef*"]),
    ("ClusterRoleBinding", &["roleRef*"]),
    ("IngressClass", &["spec.controller"]),
];

/// Of what applying `desired` would change in `live`, that which the API server will refuse.
pub fn refused_changes(live: &Value, desired: &Value, manager: &str) -> Vec<Difference> {
    let kind = desired.get("kind").and_then(Value::as_str).unwrap_or_default();
    let table = IMMUTABLE.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, fields)| fields);
    let is_frozen = live.get("immutable") == Some(&Value::Bool(true));
    let refused = |path: &str| {
        let data =
            is_frozen && ["data", "binaryData", "stringData", "immutable"].iter().any(|it| below(path, it));
        data || table.iter().any(|field| match field.strip_suffix('*') {
            Some(field) => below(path, field),
            None => path == *field,
        })
    };
    let mut found = changes(live, desired, manager);
    found.retain(|difference| refused(&difference.path));
    found
}

fn below(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
