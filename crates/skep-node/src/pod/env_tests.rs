use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::*;

fn environment(container: serde_json::Value) -> Result<BTreeMap<String, String>, String> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "api-0", "namespace": "shop", "uid": "u-1", "labels": {"app": "api"}},
        "spec": {"containers": []}
    }))
    .unwrap();
    let map: ConfigMap = serde_json::from_value(json!({"data": {"HOST": "db", "PORT": "5432"}})).unwrap();
    let secret: Secret = serde_json::from_value(json!({"data": {"password": "czNjcmV0"}})).unwrap();
    let sources = Sources {
        facts: Facts {
            pod: &pod,
            pod_ip: Ipv4Addr::new(10, 0, 0, 5),
            host_ip: Ipv4Addr::new(10, 0, 0, 1),
            node_name: "skep",
        },
        config_maps: &BTreeMap::from([("config".to_owned(), map)]),
        secrets: &BTreeMap::from([("secret".to_owned(), secret)]),
        service_env: &BTreeMap::from([("KUBERNETES_SERVICE_HOST".to_owned(), "10.9.0.1".to_owned())]),
    };
    let mut container = container;
    container["name"] = json!("api");
    sources.environment(&serde_json::from_value(container).unwrap())
}

#[test]
fn later_variables_use_and_override_earlier_ones() {
    let values = environment(json!({
        "envFrom": [{"prefix": "DB_", "configMapRef": {"name": "config"}}, {"secretRef": {"name": "none", "optional": true}}],
        "env": [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "password"}}},
            {"name": "URL", "value": "postgres://u:$(PASSWORD)@$(DB_HOST):$(DB_PORT)/$(LATER)"},
            {"name": "LATER", "value": "x"},
            {"name": "DB_PORT", "value": "6432"},
            {"name": "API", "value": "$(KUBERNETES_SERVICE_HOST)"},
            {"name": "EMPTY"},
            {"name": "MAYBE", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "none", "optional": true}}}
        ]
    }))
    .unwrap();
    assert_eq!(values["URL"], "postgres://u:s3cret@db:5432/$(LATER)");
    assert_eq!(values["DB_PORT"], "6432");
    assert_eq!(values["API"], "10.9.0.1");
    assert_eq!(values["EMPTY"], "");
    assert!(!values.contains_key("MAYBE"));
}

#[test]
fn a_pod_knows_itself() {
    let field = |path: &str| json!({"name": path, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let resource = |name: &str, resource: &str, divisor: &str| json!({"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}});
    let values = environment(json!({
        "resources": {"limits": {"cpu": "1500m", "memory": "128Mi"}},
        "env": [
            field("metadata.name"), field("metadata.namespace"), field("metadata.uid"), field("metadata.labels['app']"),
            field("status.podIP"), field("status.hostIP"), field("spec.nodeName"),
            resource("CPU", "limits.cpu", "1"), resource("MILLI", "limits.cpu", "1m"), resource("MEM", "limits.memory", "1Mi")
        ]
    }))
    .unwrap();
    for (name, expected) in [
        ("metadata.name", "api-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "api"),
        ("status.podIP", "10.0.0.5"),
        ("status.hostIP", "10.0.0.1"),
        ("spec.nodeName", "skep"),
        ("CPU", "2"),
        ("MILLI", "1500"),
        ("MEM", "128"),
    ] {
        assert_eq!(values[name], expected, "{name}");
    }
}

#[test]
fn what_is_missing_is_named_as_the_kubelet_does() {
    let reference = |kind: &str, name: &str, key: &str| json!({"env": [{"name": "X", "valueFrom": {kind: {"name": name, "key": key}}}]});
    for (container, message) in [
        (reference("configMapKeyRef", "none", "k"), "configmap \"none\" not found"),
        (reference("configMapKeyRef", "config", "K"), "couldn't find key K in ConfigMap shop/config"),
        (reference("secretKeyRef", "none", "k"), "secret \"none\" not found"),
        (reference("secretKeyRef", "secret", "K"), "couldn't find key K in Secret shop/secret"),
        (json!({"envFrom": [{"configMapRef": {"name": "none"}}]}), "configmap \"none\" not found"),
        (json!({"envFrom": [{"secretRef": {"name": "none"}}]}), "secret \"none\" not found"),
    ] {
        assert_eq!(environment(container).unwrap_err(), message);
    }
}
