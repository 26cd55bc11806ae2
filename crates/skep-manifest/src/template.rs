//! Where a workload keeps its pod template.

use serde_json::Value;

/// The JSON pointer to the pod template of each kind that has one; a Pod is its own.
const TEMPLATES: &[(&str, &str)] = &[
    ("Pod", ""),
    ("PodTemplate", "/template"),
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("DaemonSet", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("ReplicationController", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
    ("ControllerRevision", "/data/spec/template"),
];

/// The lists of containers in a pod spec.
pub(crate) const CONTAINER_LISTS: &[&str] = &["initContainers", "containers", "ephemeralContainers"];

/// The JSON pointer to an object's pod template, if its kind has one.
pub(crate) fn pointer(object: &Value) -> Option<&'static str> {
    let kind = object.get("kind")?.as_str()?;
    TEMPLATES.iter().find(|(known, _)| *known == kind).map(|(_, pointer)| *pointer)
}

/// The pod template of a workload (metadata and spec), or a Pod itself.
pub fn pod_template(object: &Value) -> Option<&Value> {
    object.pointer(pointer(object)?)
}

/// The pod spec of a workload or a Pod.
pub fn pod_spec(object: &Value) -> Option<&Value> {
    pod_template(object)?.get("spec")
}

pub(crate) fn pod_spec_mut(object: &mut Value) -> Option<&mut Value> {
    let pointer = pointer(object)?;
    object.pointer_mut(pointer)?.get_mut("spec")
}

/// Writes a pod's ServiceAccount under its old name too, as the API does by itself. Whoever applies the one alone leaves the other behind
/// when it takes the field away, and the API then fills the field from that: the pods go on as who they were.
pub fn name_service_account_twice(object: &mut Value) {
    if let Some(spec) = pod_spec_mut(object)
        && let Some(account) = spec.get("serviceAccountName").filter(|name| name.is_string()).cloned()
    {
        spec["serviceAccount"] = account;
    }
}

/// Every container of a pod spec: list, index, container.
pub(crate) fn containers(spec: &Value) -> impl Iterator<Item = (&'static str, usize, &Value)> {
    CONTAINER_LISTS.iter().flat_map(move |list| {
        let items = spec.get(list).and_then(Value::as_array).into_iter().flatten();
        items.enumerate().map(move |(index, container)| (*list, index, container))
    })
}

pub(crate) fn containers_mut(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = spec.as_object_mut().into_iter().flat_map(|spec| spec.iter_mut());
    lists
        .filter(|(key, _)| CONTAINER_LISTS.contains(&key.as_str()))
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_account_is_named_twice_where_it_is_named() {
        let mut named = json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {"serviceAccountName": "a"}}}}}});
        name_service_account_twice(&mut named);
        assert_eq!(pod_spec(&named).unwrap(), &json!({"serviceAccountName": "a", "serviceAccount": "a"}));
        for other in [
            json!({"kind": "Deployment", "spec": {"template": {"spec": {}}}}),
            json!({"kind": "Service", "spec": {}}),
        ] {
            let mut seen = other.clone();
            name_service_account_twice(&mut seen);
            assert_eq!(seen, other);
        }
    }
}
