//! How lists and maps inside objects are merged: which lists are maps in disguise, and by what keys.
//!
//! The source is the `x-kubernetes-list-type`, `-list-map-keys`, `-map-type` and `-patch-merge-key` of Kubernetes'
//! OpenAPI documents for the kinds that are served. A list or map that is not named here is what they are without any
//! such word: a list is one value, a map is merged field by field.

use crate::kind::Kind;

/// A place inside an object: field names from the root. List items share the place of their list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    kind: Kind,
    name: &'a str,
    parent: Option<&'a Place<'a>>,
}

/// How a list is merged and owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListType {
    /// As one value.
    Atomic,
    /// Each value on its own.
    Set,
    /// Each item on its own, told apart by these fields.
    Map(&'static [MapKey]),
}

/// A field that tells items apart, and what it is when it isn't there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MapKey {
    pub(crate) name: &'static str,
    pub(crate) default: Option<&'static str>,
}

/// How a list is merged by a strategic merge patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeList {
    /// The patch's list takes its place.
    Replace,
    /// Values of the patch are added.
    Primitive,
    /// Items are merged by this field.
    By(&'static str),
}

const fn key(name: &'static str) -> MapKey {
    MapKey { name, default: None }
}

const PROTOCOL: MapKey = MapKey { name: "protocol", default: Some("TCP") };

impl<'a> Place<'a> {
    /// The object itself.
    pub(crate) fn root(kind: Kind) -> Self {
        Self { kind, name: "", parent: None }
    }

    /// The field of that name.
    pub(crate) fn field(&'a self, name: &'a str) -> Place<'a> {
        Place { kind: self.kind, name, parent: Some(self) }
    }

    fn parent_name(&self) -> &str {
        self.parent.map_or("", |parent| parent.name)
    }

    fn in_container(&self) -> bool {
        matches!(self.parent_name(), "containers" | "initContainers" | "ephemeralContainers")
    }

    fn is_service_port(&self) -> bool {
        self.kind == Kind::SERVICE && self.parent_name() == "spec"
    }

    /// What server-side apply makes of a list here.
    pub(crate) fn list_type(&self) -> ListType {
        const NAME: ListType = ListType::Map(const { &[key("name")] });
        match self.name {
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "volumes"
            | "env"
            | "imagePullSecrets"
            | "resourceClaims"
            | "schedulingGates" => NAME,
            "claims" if self.parent_name() == "resources" => NAME,
            "secrets" if self.kind == Kind::SERVICE_ACCOUNT => NAME,
            "hostAliases" | "podIPs" => ListType::Map(const { &[key("ip")] }),
            "ports" if self.in_container() => ListType::Map(const { &[key("containerPort"), PROTOCOL] }),
            "ports" if self.is_service_port() => ListType::Map(const { &[key("port"), PROTOCOL] }),
            "volumeMounts" => ListType::Map(const { &[key("mountPath")] }),
            "volumeDevices" => ListType::Map(const { &[key("devicePath")] }),
            "topologySpreadConstraints" => {
                ListType::Map(const { &[key("topologyKey"), key("whenUnsatisfiable")] })
            }
            "conditions" if self.parent_name() == "status" && self.kind != Kind::JOB => {
                ListType::Map(const { &[key("type")] })
            }
            "addresses" if self.kind == Kind::NODE => ListType::Map(const { &[key("type")] }),
            "ownerReferences" if self.parent_name() == "metadata" => ListType::Map(const { &[key("uid")] }),
            "finalizers" if self.parent_name() == "metadata" => ListType::Set,
            _ => ListType::Atomic,
        }
    }

    /// Whether server-side apply takes a map here as one value.
    pub(crate) fn is_atomic_map(&self) -> bool {
        match self.name {
            "selector" | "labelSelector" | "podSelector" | "namespaceSelector" | "objectSelector" => true,
            "nodeSelector" | "configMapKeyRef" | "secretKeyRef" | "fieldRef" | "resourceFieldRef" => true,
            "fileKeyRef" | "configMapRef" | "secretRef" | "scaleTargetRef" | "targetRef" | "roleRef" => true,
            "involvedObject" | "related" | "regarding" | "dataSource" => true,
            "requiredDuringSchedulingIgnoredDuringExecution" => true,
            "resource" => self.parent_name() == "defaultBackend" || self.parent_name() == "backend",
            _ => false,
        }
    }

    /// What a strategic merge patch makes of a list here.
    pub(crate) fn merge_list(&self) -> MergeList {
        match self.name {
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "volumes"
            | "env"
            | "imagePullSecrets"
            | "resourceClaims"
            | "schedulingGates" => MergeList::By("name"),
            "secrets" if self.kind == Kind::SERVICE_ACCOUNT => MergeList::By("name"),
            "hostAliases" | "podIPs" | "hostIPs" => MergeList::By("ip"),
            "ports" if self.in_container() => MergeList::By("containerPort"),
            "ports" if self.is_service_port() => MergeList::By("port"),
            "volumeMounts" => MergeList::By("mountPath"),
            "volumeDevices" => MergeList::By("devicePath"),
            "topologySpreadConstraints" => MergeList::By("topologyKey"),
            "conditions" => MergeList::By("type"),
            "addresses" if self.kind == Kind::NODE => MergeList::By("type"),
            "taints" => MergeList::By("key"),
            "ownerReferences" => MergeList::By("uid"),
            "finalizers" => MergeList::Primitive,
            _ => MergeList::Replace,
        }
    }
}

/// The order of a merged list: as wanted, with items that only `present` has where they were between the others.
pub(crate) fn interleave<T: PartialEq + Clone>(present: &[T], wanted: &[T]) -> Vec<T> {
    let mut order = Vec::with_capacity(present.len() + wanted.len());
    let mut rest = wanted.iter().peekable();
    for item in present {
        if !wanted.contains(item) {
            order.push(item.clone());
            continue;
        }
        while let Some(next) = rest.peek() {
            if *next == item {
                break;
            }
            if present.contains(next) && order.contains(*next) {
                rest.next();
                continue;
            }
            if order.contains(item) {
                break;
            }
            order.push((*next).clone());
            rest.next();
        }
        if !order.contains(item) {
            order.push(item.clone());
        }
        if rest.peek() == Some(&item) {
            rest.next();
        }
    }
    for item in rest {
        if !order.contains(item) {
            order.push(item.clone());
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::interleave;

    #[test]
    fn keeps_what_is_wanted_in_order_and_the_rest_in_place() {
        assert_eq!(interleave(&["a", "b"], &["b", "a"]), ["b", "a"]);
        assert_eq!(interleave(&["x", "a", "y"], &["a", "b"]), ["x", "a", "y", "b"]);
        assert_eq!(interleave(&["a", "b", "c"], &["a", "n", "c"]), ["a", "b", "n", "c"]);
        assert_eq!(interleave(&[], &["a"]), ["a"]);
        assert_eq!(interleave(&["a"], &[]), ["a"]);
        assert_eq!(interleave(&["a", "b", "c"], &["c", "b", "a"]), ["c", "b", "a"]);
    }
}
