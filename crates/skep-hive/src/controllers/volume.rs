//! PersistentVolumeClaims: each is bound at once to a directory of this machine.
//!
//! A claim carries `kubernetes.io/pvc-protection` while a pod uses it, so that a deleted claim's data outlives its pods.

use std::path::Path;

use serde_json::{Value, json};

use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::object;

/// The StorageClass that hive has.
pub(crate) const CLASS: &str = "local";
const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// Looks at one claim. `directory`: where its data lies; `in_use`: whether a pod that has not ended names it.
pub(crate) fn step(claim: &Value, directory: &Path, volume_exists: bool, in_use: bool) -> Step {
    let mut step = Step::default();
    if object::is_deleting(claim) {
        if !in_use && object::has_finalizer(claim, PROTECTION) {
            let rest = object::finalizers_without(claim, PROTECTION);
            step.push(Action::patch(Kind::PVC, claim, json!({"metadata": {"finalizers": rest}})));
        }
        return step;
    }
    if !["", CLASS].contains(&object::text(claim, "/spec/storageClassName")) {
        let class = object::text(claim, "/spec/storageClassName");
        step.extend_status(claim, json!({"phase": "Pending"}), |step| {
            let message =
                format!("storageclass \"{class}\" is not served by hive: use \"{CLASS}\", or leave it out");
            step.push(Action::warning(claim, "ProvisioningFailed", message));
        });
        return step;
    }
    let volume = volume_name(claim);
    if !volume_exists {
        step.push(Action::Create(persistent_volume(claim, &volume, directory)));
    }
    if object::text(claim, "/spec/volumeName") != volume || !object::has_finalizer(claim, PROTECTION) {
        let mut finalizers = object::array(claim, "/metadata/finalizers").to_vec();
        if !object::has_finalizer(claim, PROTECTION) {
            finalizers.push(json!(PROTECTION));
        }
        let patch = json!({"metadata": {"finalizers": finalizers}, "spec": {"volumeName": volume}});
        step.push(Action::patch(Kind::PVC, claim, patch));
    }
    let status = json!({
        "phase": "Bound",
        "accessModes": claim.pointer("/spec/accessModes"),
        "capacity": {"storage": claim.pointer("/spec/resources/requests/storage")},
    });
    step.actions.extend(Action::status(claim, status));
    step
}

/// The volume's name: as a provisioner's, after the claim's UID.
pub(crate) fn volume_name(claim: &Value) -> String {
    format!("pvc-{}", object::uid(claim))
}

fn persistent_volume(claim: &Value, name: &str, directory: &Path) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": claim.pointer("/spec/accessModes"),
            "capacity": {"storage": claim.pointer("/spec/resources/requests/storage")},
            "claimRef": object::reference(claim),
            "hostPath": {"path": directory.to_string_lossy(), "type": "DirectoryOrCreate"},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": CLASS,
        },
    })
}

/// Whether a pod that has not ended names the claim.
pub(crate) fn is_used_by(pod: &Value, claim: &str) -> bool {
    !super::replicaset::is_finished(pod)
        && object::array(pod, "/spec/volumes")
            .iter()
            .any(|volume| object::text(volume, "/persistentVolumeClaim/claimName") == claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(edit: impl FnOnce(&mut Value)) -> Value {
        let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "a", "uid": "u"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        edit(&mut claim);
        claim
    }

    #[test]
    fn bound_at_once_to_a_directory() {
        let step = step(&claim(|_| {}), Path::new("/s/volumes/a/data"), false, false);
        assert!(
            matches!(&step.actions[0], Action::Create(volume) if volume["spec"]["hostPath"]["path"] == "/s/volumes/a/data")
        );
        assert!(
            matches!(&step.actions[1], Action::Patch { patch, .. } if patch["spec"]["volumeName"] == "pvc-u")
        );
        assert!(matches!(&step.actions[2], Action::Status(claim) if claim["status"]["phase"] == "Bound"));
    }

    #[test]
    fn another_class_waits_and_says_why() {
        let fast = claim(|c| c["spec"]["storageClassName"] = json!("fast"));
        let step = step(&fast, Path::new("/x"), false, false);
        assert!(matches!(&step.actions[1], Action::Event { reason: "ProvisioningFailed", .. }));
    }

    #[test]
    fn a_deleted_claim_stays_while_a_pod_uses_it() {
        let leaving = claim(|c| {
            c["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            c["metadata"]["finalizers"] = json!([PROTECTION]);
        });
        assert_eq!(step(&leaving, Path::new("/x"), true, true), Step::default());
        assert_eq!(step(&leaving, Path::new("/x"), true, false).actions.len(), 1);
    }
}
