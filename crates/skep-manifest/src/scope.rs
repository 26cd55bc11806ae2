//! Which kinds live in a namespace, and that an app's objects live in its own.

use serde_json::Value;

use crate::{
    error::{ManifestError, Problem},
    object::Object,
};

/// The built-in kinds that live in no namespace, by group (the core group is empty).
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    ("", &["Namespace", "Node", "PersistentVolume", "ComponentStatus"]),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
        ],
    ),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    (
        "storage.k8s.io",
        &["StorageClass", "VolumeAttachment", "CSIDriver", "CSINode", "VolumeAttributesClass"],
    ),
    ("snapshot.storage.k8s.io", &["VolumeSnapshotClass", "VolumeSnapshotContent"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("networking.k8s.io", &["IngressClass", "IPAddress", "ServiceCIDR"]),
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("resource.k8s.io", &["DeviceClass", "ResourceSlice", "DeviceTaintRule"]),
    ("cert-manager.io", &["ClusterIssuer"]),
];

/// Whether objects of this kind live in no namespace. A kind that isn't known here is taken to live in one, as most do,
/// unless `definitions` holds its CustomResourceDefinition.
pub fn is_cluster_scoped<'v>(
    api_version: &str,
    kind: &str,
    definitions: impl IntoIterator<Item = &'v Value>,
) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let built_in = CLUSTER_SCOPED.iter().any(|(known, kinds)| *known == group && kinds.contains(&kind));
    built_in
        || definitions.into_iter().any(|object| {
            let is =
                |pointer: &str, text: &str| object.pointer(pointer).and_then(Value::as_str) == Some(text);
            is("/kind", "CustomResourceDefinition")
                && is("/spec/group", group)
                && is("/spec/names/kind", kind)
                && is("/spec/scope", "Cluster")
        })
}

/// Puts every object that lives in a namespace into the app's, and takes a needless one off those that live in none.
///
/// # Errors
/// When an object names another namespace, or is another Namespace.
pub fn settle(objects: &mut [Object], namespace: &str) -> Result<(), ManifestError> {
    let definitions: Vec<Value> = objects
        .iter()
        .filter(|object| object.text("/kind") == Some("CustomResourceDefinition"))
        .map(|object| object.value.clone())
        .collect();
    for object in objects {
        let (Some(version), Some(kind)) = (object.text("/apiVersion"), object.text("/kind")) else {
            continue;
        };
        let (pointer, foreign) = match is_cluster_scoped(version, kind, &definitions) {
            true if kind == "Namespace" => ("/metadata/name", object.text("/metadata/name")),
            true => {
                metadata(&mut object.value, |metadata| {
                    metadata.remove("namespace");
                });
                continue;
            }
            false => ("/metadata/namespace", object.text("/metadata/namespace")),
        };
        if let Some(found) = foreign.filter(|found| *found != namespace) {
            let (found, expected) = (found.to_owned(), namespace.to_owned());
            return Err(ManifestError::at(object, pointer, Problem::ForeignNamespace { found, expected }));
        }
        if kind != "Namespace" {
            metadata(&mut object.value, |metadata| {
                metadata.insert("namespace".to_owned(), namespace.into());
            });
        }
    }
    Ok(())
}

pub(crate) fn metadata(object: &mut Value, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        change(metadata);
    }
}
