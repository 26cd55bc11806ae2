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
