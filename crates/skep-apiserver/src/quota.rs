//! ResourceQuotas: how much a namespace holds, and whether one object more fits.
//!
//! What is used is counted from the objects themselves under the store's lock, so that two that are created at once can't both get
//! the last place.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::defaults::Quantity;
use crate::kind::Kind;
use crate::kinds;
use crate::meta;
use crate::resources::Resources;
use crate::status::Status;

/// Resources that are counted by their objects alone, besides `count/PLURAL.GROUP`.
const OBJECTS: &[(&str, Kind)] = &[
    ("pods", Kind::POD),
    ("services", Kind::SERVICE),
    ("secrets", Kind::SECRET),
    ("configmaps", Kind::CONFIG_MAP),
    ("persistentvolumeclaims", Kind::PVC),
    ("resourcequotas", Kind::RESOURCE_QUOTA),
];

/// What of an object a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Each object of a kind.
    Objects(Kind),
    /// What pods ask for or are held to: `/resources/requests/cpu` of each container.
    Compute { which: &'static str, resource: &'static str },
    /// What claims ask for.
    Storage,
}

impl Counted {
    fn of(resource: &str) -> Option<Self> {
        let compute = |which, resource| Some(Self::Compute { which, resource });
        match resource {
            "cpu" | "requests.cpu" => compute("requests", "cpu"),
            "memory" | "requests.memory" => compute("requests", "memory"),
            "limits.cpu" => compute("limits", "cpu"),
            "limits.memory" => compute("limits", "memory"),
            "requests.storage" => Some(Self::Storage),
            _ => {
                if let Some((_, kind)) = OBJECTS.iter().find(|(name, _)| *name == resource) {
                    return Some(Self::Objects(*kind));
                }
                let counted = resource.strip_prefix("count/")?;
                let kinds = kinds::ALL.iter().copied();
                kinds.into_iter().find(|kind| kind.resource() == counted).map(Self::Objects)
            }
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Objects(kind) => kind,
            Self::Compute { .. } => Kind::POD,
            Self::Storage => Kind::PVC,
        }
    }

    /// How much of it an object takes.
    fn taken_by(self, object: &Value) -> Quantity {
        match self {
            Self::Objects(_) => Quantity::of(1),
            Self::Compute { which, resource } => asked(&object["spec"], which, resource),
            Self::Storage => {
                let asked = meta::text(object, "/spec/resources/requests/storage").unwrap_or_default();
                Quantity::parse(asked).unwrap_or_default()
            }
        }
    }

    /// Containers that would have to say how much of it they take.
    fn silent(self, object: &Value) -> Vec<&str> {
        let Self::Compute { which, resource } = self else { return Vec::new() };
        let says = |container: &&Value| {
            container.pointer(&format!("/resources/{which}/{resource}")).is_some_and(|found| !found.is_null())
        };
        let containers = meta::list(object, "/spec/containers").iter().filter(|one| !says(one));
        containers.map(|one| meta::text(one, "/name").unwrap_or_default()).collect()
    }
}

/// What a pod asks for (`requests`) or is held to (`limits`): its containers together, or one that runs before them if that takes more.
pub fn asked(spec: &Value, which: &str, resource: &str) -> Quantity {
    let pointer = format!("/resources/{which}/{resource}");
    let amount =
        |container: &Value| meta::text(container, &pointer).and_then(Quantity::parse).unwrap_or_default();
    let together = |all: &[Value]| all.iter().map(amount).fold(Quantity::default(), Quantity::plus);
    let (sidecars, first): (Vec<Value>, Vec<Value>) =
        meta::list(spec, "/initContainers").iter().cloned().partition(|one| one["restartPolicy"] == "Always");
    let beside = together(&sidecars);
    let running = together(meta::list(spec, "/containers")).plus(beside);
    let starting = first.iter().map(|one| amount(one).plus(beside));
    starting.fold(running, |most, one| if one.fits(most) { most } else { one })
}

/// Whether quotas can bound this resource here.
pub(crate) fn is_counted(resource: &str) -> bool {
    Counted::of(resource).is_some()
}

/// How much of what a quota bounds its namespace uses.
#[must_use]
pub fn used(resources: &Resources, quota: &Value) -> BTreeMap<String, Quantity> {
    let hard = quota.pointer("/spec/hard").and_then(Value::as_object).into_iter().flatten();
    let counted = hard.filter_map(|(resource, _)| Some((resource.clone(), Counted::of(resource)?)));
    let sum = |counted: Counted| {
        let objects = resources.list(counted.kind(), meta::namespace(quota));
        let live = objects.iter().filter(|object| !is_over(object));
        live.map(|object| counted.taken_by(object)).fold(Quantity::default(), Quantity::plus)
    };
    counted.map(|(resource, counted)| (resource, sum(counted))).collect()
}

/// A pod that has ended takes nothing any more.
fn is_over(object: &Value) -> bool {
    matches!(meta::text(object, "/status/phase"), Some("Succeeded" | "Failed"))
        && meta::text(object, "/kind") == Some("Pod")
}

/// A resource of which there is not enough.
struct Over<'a> {
    resource: &'a str,
    requested: Quantity,
    used: Quantity,
    limited: Quantity,
}

/// Refuses an object that a quota of its namespace has no room for.
pub(crate) fn admit(resources: &Resources, kind: Kind, object: &Value) -> Result<(), Status> {
    let name = meta::name(object);
    let refuse = |why: &str| Err(Status::forbidden(&kind.resource(), name, why));
    for quota in resources.list(Kind::RESOURCE_QUOTA, meta::namespace(object)) {
        let hard = quota.pointer("/spec/hard").and_then(Value::as_object).into_iter().flatten();
        let concerned: Vec<(&String, Quantity, Counted)> = hard
            .filter_map(|(resource, hard)| {
                let counted = Counted::of(resource).filter(|counted| counted.kind() == kind)?;
                Some((resource, Quantity::parse(hard.as_str()?)?, counted))
            })
            .collect();
        let silent: Vec<String> = concerned
            .iter()
            .flat_map(|(resource, _, counted)| {
                let containers = counted.silent(object);
                containers.into_iter().map(move |container| format!("{resource} for: {container}"))
            })
            .collect();
        let quota_name = meta::name(&quota);
        if !silent.is_empty() {
            return refuse(&format!("failed quota: {quota_name}: must specify {}", silent.join("; ")));
        }
        let used = used(resources, &quota);
        let over: Vec<Over<'_>> = concerned
            .iter()
            .filter_map(|(resource, limited, counted)| {
                let (requested, used) = (counted.taken_by(object), *used.get(*resource)?);
                let fits = used.plus(requested).fits(*limited);
                (!fits).then_some(Over { resource, requested, used, limited: *limited })
            })
            .collect();
        if !over.is_empty() {
            let all = |of: fn(&Over<'_>) -> Quantity| {
                let each: Vec<String> =
                    over.iter().map(|one| format!("{}={}", one.resource, of(one))).collect();
                each.join(",")
            };
            return refuse(&format!(
                "exceeded quota: {quota_name}, requested: {}, used: {}, limited: {}",
                all(|one| one.requested),
                all(|one| one.used),
                all(|one| one.limited),
            ));
        }
    }
    Ok(())
}
