//! What lives in the cluster and an apply must respect: the desired object is brought in line with it, or told apart from it.

use serde_json::{Map, Value, json};
use skep_model::Quantity;

use crate::{
    adopt::{entries, unite},
    images::repository,
    template::{containers, containers_mut, pod_spec, pod_spec_mut},
};

/// Where a kind says how its pods are replaced. The parameters belong to one type only, and the API refuses them beside another.
const STRATEGIES: &[(&str, &str)] =
    &[("Deployment", "strategy"), ("StatefulSet", "updateStrategy"), ("DaemonSet", "updateStrategy")];
const PARAMETERS: &str = "rollingUpdate";

/// Takes the update strategy out of `desired` when an apply would be refused for what `live` has beside it: the defaults of
/// `RollingUpdate`, which nobody owns and no apply removes. The answer is put back by [`put_strategy`].
pub fn take_strategy(desired: &mut Value, live: &Value) -> Option<Value> {
    let field = strategy_field(desired)?;
    let wanted = desired["spec"].get(field)?;
    let keeps_parameters = wanted["type"].as_str().is_none_or(|kind| kind == "RollingUpdate");
    if keeps_parameters || wanted.get(PARAMETERS).is_some_and(Value::is_object) {
        return None;
    }
    live["spec"][field].get(PARAMETERS).filter(|parameters| parameters.is_object())?;
    desired["spec"].as_object_mut()?.remove(field)
}

/// Puts back what [`take_strategy`] took.
pub fn put_strategy(object: &mut Value, strategy: Value) {
    if let Some(field) = strategy_field(object) {
        object["spec"][field] = strategy;
    }
}

/// Returns `managed_fields` with the parameters of the live update strategy added to what `applier` has applied: the next apply
/// that lacks them removes them.
pub fn with_owned_strategy(managed_fields: &Value, live: &Value, applier: &str) -> Value {
    let mut fields = managed_fields.clone();
    let Some(field) = strategy_field(live) else { return fields };
    let parameters = live["spec"][field][PARAMETERS].as_object().into_iter().flatten();
    let owned: Map<String, Value> = parameters.map(|(name, _)| (format!("f:{name}"), json!({}))).collect();
    let owned = json!({ "f:spec": { format!("f:{field}"): { format!("f:{PARAMETERS}"): owned } } });
    let mine = fields.as_array_mut().into_iter().flatten().find(|entry| {
        entry["manager"] == applier && entry["operation"] == "Apply" && entry.get("subresource").is_none()
    });
    if let (Some(mine), Value::Object(owned)) =
        (mine.and_then(|entry| entry["fieldsV1"].as_object_mut()), owned)
    {
        unite(mine, owned);
    }
    fields
}

/// Returns who owns which fields of a live object.
pub fn managed_fields(live: &Value) -> Value {
    entries(live).cloned().collect()
}

fn strategy_field(object: &Value) -> Option<&'static str> {
    let kind = object["kind"].as_str()?;
    STRATEGIES.iter().find(|(known, _)| *known == kind).map(|(_, field)| *field)
}

/// Leaves a claim as large as it has grown: it can't shrink. Returns the sizes that are kept and that were wanted.
pub fn keep_claim_size(desired: &mut Value, live: &Value) -> Option<(String, String)> {
    const SIZE: &str = "/spec/resources/requests/storage";
    if desired["kind"] != "PersistentVolumeClaim" {
        return None;
    }
    let (wanted, there) = (desired.pointer(SIZE)?.clone(), live.pointer(SIZE)?.clone());
    let bytes = |value: &Value| Some(Quantity::of(value)?.in_units(0));
    if bytes(&there)? <= bytes(&wanted)? {
        return None;
    }
    *desired.pointer_mut(SIZE)? = there.clone();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some((text(there), text(wanted)))
}

/// Leaves a Job the images that it was created with, where the desired ones differ in their digest alone: its template can't change,
/// and what it was created for is done or under way. Returns whether there was such an image.
pub fn keep_job_images(desired: &mut Value, live: &Value) -> bool {
    if desired["kind"] != "Job" {
        return false;
    }
    let (Some(wanted), Some(there)) = (pod_spec_mut(desired), pod_spec(live)) else { return false };
    let mut kept = false;
    for container in containers_mut(wanted) {
        let same = |other: &&Value| other["name"] == container["name"];
        let other = containers(there).map(|(_, _, other)| other).find(same);
        let Some(image) = other.and_then(|other| other["image"].as_str()) else { continue };
        let wanted = container["image"].as_str().unwrap_or_default();
        if wanted != image && wanted.contains('@') && repository(wanted) == repository(image) {
            container["image"] = image.into();
            kept = true;
        }
    }
    kept
}
