//! What the user left out.
use serde_json::Value;
macro_rules! none { ($($name:ident)*) => { $(pub(crate) fn $name(_: &mut Value) {})* } }
none!(namespace pod service endpoints secret persistent_volume_claim deployment replica_set job
    horizontal_pod_autoscaler network_policy endpoint_slice role_binding storage_class priority_class);
