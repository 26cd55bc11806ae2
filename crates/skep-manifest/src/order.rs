//! The order in which objects are written: in waves, each when the one before is there.

use serde_json::Value;
use skep_model::ObjectKey;

use crate::template::pod_template;

/// A wave: its objects don't need each other. In the order of the story; up to [`Wave::Config`] they are *staged*, before
/// the migration, and the rest is *applied* after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// The app's Namespace.
    Namespace,
    /// CustomResourceDefinitions; to be Established before anything else is written.
    Definitions,
    /// Accounts, roles, bindings, and the quotas and limits that later objects are checked against.
    Access,
    /// Classes, volumes and claims.
    Storage,
    /// ConfigMaps and Secrets.
    Config,
    /// Services, network policies and disruption budgets.
    Network,
    /// Objects of kinds that Skep doesn't know: an operator may have to act on them before a pod can start.
    Custom,
    /// What runs pods.
    Workloads,
    /// What points at workloads: Ingresses, routes, autoscalers.
    Traffic,
    /// What the API server itself calls, and would fail on before its workload is up: webhooks and APIServices.
    Hooks,
}

impl Wave {
    /// The wave of an object, by its kind.
    pub fn of(object: &Value) -> Self {
        let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("kind") {
            "Namespace" => Self::Namespace,
            "CustomResourceDefinition" => Self::Definitions,
            "ServiceAccount" | "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding"
            | "PriorityClass" | "RuntimeClass" | "ResourceQuota" | "LimitRange" | "IngressClass" => {
                Self::Access
            }
            "StorageClass"
            | "CSIDriver"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "VolumeAttributesClass" => Self::Storage,
            "ConfigMap" | "Secret" => Self::Config,
            "Service" | "Endpoints" | "EndpointSlice" | "NetworkPolicy" | "PodDisruptionBudget" => {
                Self::Network
            }
            "Pod"
            | "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "ReplicaSet"
            | "ReplicationController"
            | "Job"
            | "CronJob" => Self::Workloads,
            "Ingress"
            | "HorizontalPodAutoscaler"
            | "VerticalPodAutoscaler"
            | "HTTPRoute"
            | "GRPCRoute"
            | "IngressRoute" => Self::Traffic,
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" | "APIService" => Self::Hooks,
            _ => Self::Custom,
        }
    }

    /// Whether it is written before the migration.
    pub fn is_staged(self) -> bool {
        self <= Self::Config
    }
}

/// The objects in waves, empty ones left out; inside a wave they keep their order.
pub fn waves(objects: Vec<Value>) -> Vec<(Wave, Vec<Value>)> {
    let mut waves: Vec<(Wave, Vec<Value>)> = Vec::new();
    for object in objects {
        let wave = Wave::of(&object);
        match waves.iter_mut().find(|(known, _)| *known == wave) {
            Some((_, objects)) => objects.push(object),
            None => waves.push((wave, vec![object])),
        }
    }
    waves.sort_by_key(|(wave, _)| *wave);
    waves
}

/// What is written before the migration, and what after it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Staged {
    /// Before, in waves: namespace to config, then the needed workloads and the Services that select their pods.
    pub stage: Vec<(Wave, Vec<Value>)>,
    /// After, in waves.
    pub apply: Vec<(Wave, Vec<Value>)>,
    /// Names in `needs` that no workload has.
    pub unknown: Vec<String>,
}

/// Parts the objects at the migration. `needs`: names of workloads that must be up before it.
pub fn stage_and_apply(objects: Vec<Value>, needs: &[String]) -> Staged {
    let name = |object: &Value| object.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    let is_needed =
        |object: &Value| is_workload(object) && name(object).is_some_and(|name| needs.contains(&name));
    let needed: Vec<Value> = objects.iter().filter(|object| is_needed(object)).cloned().collect();
    let unknown =
        needs.iter().filter(|need| !needed.iter().any(|object| name(object).as_ref() == Some(need)));
    let unknown = unknown.cloned().collect();
    let (stage, apply) = objects.into_iter().partition(|object| {
        Wave::of(object).is_staged()
            || is_needed(object)
            || needed.iter().any(|workload| selects(object, workload))
    });
    Staged { stage: waves(stage), apply: waves(apply), unknown }
}

/// Whether a Service sends traffic to a workload's pods, or is the one that a StatefulSet names.
fn selects(service: &Value, workload: &Value) -> bool {
    if service.get("kind").and_then(Value::as_str) != Some("Service") {
        return false;
    }
    let governing = workload.pointer("/spec/serviceName");
    if governing.is_some() && governing == service.pointer("/metadata/name") {
        return true;
    }
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    let labels = pod_template(workload).and_then(|template| template.pointer("/metadata/labels"));
    match (selector, labels) {
        (Some(selector), Some(labels)) if !selector.is_empty() => {
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        }
        _ => false,
    }
}

/// Whether a rollout of this object is awaited: Deployments, StatefulSets and DaemonSets.
pub fn is_workload(object: &Value) -> bool {
    let kind = object.get("kind").and_then(Value::as_str);
    matches!(kind, Some("Deployment" | "StatefulSet" | "DaemonSet"))
}

/// The keys of all objects, sorted, each once.
pub fn inventory<'o>(objects: impl IntoIterator<Item = &'o Value>) -> Vec<ObjectKey> {
    let mut keys: Vec<ObjectKey> = objects.into_iter().filter_map(ObjectKey::of).collect();
    keys.sort();
    keys.dedup();
    keys
}
