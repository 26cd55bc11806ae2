//! Why a workload's pods are replaced: what differs in its template, in the words of whoever changed it.

use serde_json::{Map, Value};

use crate::{Difference, Versions};

/// What replaces a workload's pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A container runs another image.
    Image {
        /// The container.
        container: String,
        /// What it runs; `None` for a new container.
        from: Option<String>,
        /// What it is to run.
        to: String,
    },
    /// A set that the template refers to has another version.
    Config {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// The set's plain name.
        set: String,
        /// The version that is read now.
        from: String,
        /// The version that is to be read.
        to: String,
    },
    /// Another field of the template.
    Field {
        /// Below the template: `spec.containers[api].resources.limits.memory`.
        path: String,
    },
}

const TEMPLATE: &str = "spec.template.";

/// The ends of paths at which a template names a ConfigMap or a Secret.
const REFERENCES: &[(&str, &str)] = &[
    (".configMapRef.name", "ConfigMap"),
    (".configMapKeyRef.name", "ConfigMap"),
    (".configMap.name", "ConfigMap"),
    (".secretRef.name", "Secret"),
    (".secretKeyRef.name", "Secret"),
    (".secret.secretName", "Secret"),
    (".secret.name", "Secret"),
];

/// The reasons among an object's differences, sorted, each once. Empty when its pods stay. `versions` knows the versions that were
/// read and those that are to be.
pub fn restart_reasons(differences: &[Difference], versions: &Versions) -> Vec<Reason> {
    let mut reasons: Vec<Reason> =
        differences.iter().filter_map(|difference| reason(difference, versions)).collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

fn reason(difference: &Difference, versions: &Versions) -> Option<Reason> {
    let path = difference.path.strip_prefix(TEMPLATE)?;
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    let (from, to) = (text(&difference.from), text(&difference.to));
    if let (Some(container), Some(to)) = (image_of(path), &to) {
        return Some(Reason::Image { container, from, to: to.clone() });
    }
    let kind = REFERENCES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, kind)| *kind);
    if let (Some(kind), Some(from), Some(to)) = (kind, from, to) {
        let set = versions.plain_name(kind, &to).unwrap_or(&to);
        // An adopted workload refers to the plain name.
        if versions.plain_name(kind, &from).unwrap_or(&from) == set {
            return Some(Reason::Config { kind, set: set.to_owned(), from, to });
        }
    }
    Some(Reason::Field { path: path.to_owned() })
}

/// The container of `spec.containers[api].image`.
fn image_of(path: &str) -> Option<String> {
    let list = ["spec.containers[", "spec.initContainers["];
    let rest = list.into_iter().find_map(|list| path.strip_prefix(list))?;
    rest.strip_suffix("].image").map(str::to_owned)
}

/// The keys in which two versions of a ConfigMap or Secret differ, sorted.
pub fn changed_keys(from: &Value, to: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    let none = Map::new();
    for part in ["data", "binaryData"] {
        let values = |object: &'_ Value| object.get(part).and_then(Value::as_object).cloned();
        let (from, to) = (values(from).unwrap_or(none.clone()), values(to).unwrap_or(none.clone()));
        keys.extend(from.keys().chain(to.keys()).filter(|key| from.get(*key) != to.get(*key)).cloned());
    }
    keys.sort();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::differences;

    fn deployment(image: &str, version: &str, memory: &str, replicas: u32) -> Value {
        json!({"kind": "Deployment", "spec": {"replicas": replicas, "template": {"spec": {"containers": [{
            "name": "api",
            "image": image,
            "envFrom": [{"configMapRef": {"name": format!("conf-{version}")}}],
            "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": format!("conf-{version}"), "key": "A"}}}],
            "resources": {"limits": {"memory": memory}},
        }]}}}})
    }

    fn versions() -> Versions {
        let version = |name: &str| json!({"kind": "ConfigMap", "metadata": {"name": name, "annotations": {"skep.dev/version-of": "conf"}}});
        Versions::of_objects(&[version("conf-0a1b2c3d"), version("conf-4e5f6a7b")])
    }

    #[test]
    fn each_reason_is_told_once_and_what_is_outside_the_template_is_none() {
        let before = deployment("r/api@sha256:1", "0a1b2c3d", "1Gi", 1);
        assert_eq!(
            restart_reasons(
                &differences(&before, &deployment("r/api@sha256:1", "0a1b2c3d", "1Gi", 3)),
                &versions()
            ),
            []
        );
        let after = deployment("r/api@sha256:2", "4e5f6a7b", "2Gi", 1);
        let expected = [
            Reason::Image {
                container: "api".to_owned(),
                from: Some("r/api@sha256:1".to_owned()),
                to: "r/api@sha256:2".to_owned(),
            },
            Reason::Config {
                kind: "ConfigMap",
                set: "conf".to_owned(),
                from: "conf-0a1b2c3d".to_owned(),
                to: "conf-4e5f6a7b".to_owned(),
            },
            Reason::Field { path: "spec.containers[api].resources.limits.memory".to_owned() },
        ];
        assert_eq!(restart_reasons(&differences(&before, &after), &versions()), expected);
    }

    #[test]
    fn a_reference_to_another_set_is_a_field() {
        let difference = Difference {
            path: "spec.template.spec.containers[api].envFrom[0].secretRef.name".to_owned(),
            from: Some(json!("one-0a1b2c3d")),
            to: Some(json!("two-0a1b2c3d")),
        };
        assert!(matches!(restart_reasons(&[difference], &versions()).as_slice(), [Reason::Field { .. }]));
    }

    #[test]
    fn dated_foreign_names_are_not_versions() {
        let after = deployment("r/api@sha256:1", "20240116", "1Gi", 1);
        let reasons = restart_reasons(
            &differences(&deployment("r/api@sha256:1", "20240115", "1Gi", 1), &after),
            &versions(),
        );
        assert!(reasons.iter().all(|reason| matches!(reason, Reason::Field { .. })), "{reasons:?}");
    }

    #[test]
    fn keys_that_came_went_or_changed() {
        let (from, to) = (
            json!({"data": {"A": "1", "B": "2", "C": "3"}}),
            json!({"data": {"A": "1", "B": "x", "D": "4"}}),
        );
        assert_eq!(changed_keys(&from, &to), ["B", "C", "D"]);
        assert_eq!(changed_keys(&json!({}), &to), ["A", "B", "D"]);
    }
}
