//! What differs, and what applying would change.

use serde_json::{Value, json};
use skep_manifest::{changes, differences, immutable_changes, is_applied};

fn shown(found: &[skep_manifest::Difference]) -> Vec<String> {
    let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
    found.iter().map(|one| format!("{}: {} → {}", one.path, text(&one.from), text(&one.to))).collect()
}

fn desired() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "n", "labels": {"skep.dev/app": "a"}, "creationTimestamp": null},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"labels": {"app": "api"}, "annotations": {}},
                "spec": {
                    "hostNetwork": false,
                    "tolerations": [],
                    "containers": [{
                        "name": "api", "image": "r/api@sha256:aa",
                        "ports": [{"containerPort": 8000}],
                        "env": [{"name": "A", "value": ""}, {"name": "B", "value": "1"}],
                        "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}, "requests": {"cpu": "0.5"}},
                        "volumeMounts": [{"mountPath": "/tmp", "name": "tmp", "readOnly": false}],
                    }],
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
                },
            },
        },
    })
}

/// `desired` as a server keeps it: defaulted, in canonical amounts, with what others added.
fn live() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "api", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"skep.dev/app": "a"},
            "annotations": {"deployment.kubernetes.io/revision": "3"},
            "managedFields": [{
                "manager": "skep", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:skep.dev/app": {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"api\"}": {
                            ".": {}, "f:name": {}, "f:image": {},
                            "f:ports": {"k:{\"containerPort\":8000,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                            "f:env": {
                                "k:{\"name\":\"A\"}": {".": {}, "f:name": {}},
                                "k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}},
                            },
                        }}}},
                    },
                },
            }],
        },
        "spec": {
            "replicas": 3, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"labels": {"app": "api"}},
                "spec": {
                    "containers": [
                        {"name": "injected", "image": "mesh"},
                        {
                            "name": "api", "image": "r/api@sha256:aa", "imagePullPolicy": "IfNotPresent",
                            "ports": [{"containerPort": 8000, "protocol": "TCP"}],
                            "env": [{"name": "A"}, {"name": "B", "value": "1"}],
                            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
                            "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}],
                        },
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi"}}],
                },
            },
        },
        "status": {"replicas": 3},
    })
}

#[test]
fn what_a_server_made_of_it_is_no_change() {
    assert_eq!(shown(&changes(&live(), &desired(), "skep")), Vec::<String>::new());
    assert!(is_applied(&live(), &desired(), "skep"));
}

#[test]
fn each_change_is_seen() {
    let container = "/spec/template/spec/containers/0";
    for (pointer, value, change) in [
        ("/spec/replicas", json!(4), "spec.replicas: 3 → 4"),
        (
            &format!("{container}/image"),
            json!("r/api@sha256:bb"),
            "spec.template.spec.containers[api].image: \"r/api@sha256:aa\" → \"r/api@sha256:bb\"",
        ),
        (
            &format!("{container}/env/1/value"),
            json!("1.0"),
            "spec.template.spec.containers[api].env[B].value: \"1\" → \"1.0\"",
        ),
        (
            &format!("{container}/env/0/value"),
            json!("x"),
            "spec.template.spec.containers[api].env[A].value: - → \"x\"",
        ),
        (
            &format!("{container}/resources/limits/cpu"),
            json!("1001m"),
            "spec.template.spec.containers[api].resources.limits.cpu: \"1\" → \"1001m\"",
        ),
        (
            &format!("{container}/ports/0/protocol"),
            json!("UDP"),
            "spec.template.spec.containers[api].ports[8000/UDP]: - → {\"containerPort\":8000,\"protocol\":\"UDP\"}",
        ),
        ("/spec/template/spec/hostNetwork", json!(true), "spec.template.spec.hostNetwork: - → true"),
        (
            "/spec/template/spec/tolerations",
            json!([{"operator": "Exists"}]),
            "spec.template.spec.tolerations: - → [{\"operator\":\"Exists\"}]",
        ),
        (
            "/metadata/labels",
            json!({"skep.dev/app": "b"}),
            "metadata.labels[\"skep.dev/app\"]: \"a\" → \"b\"",
        ),
    ] {
        let mut wanted = desired();
        match wanted.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
                wanted.pointer_mut(parent).expect("there")[key] = value;
            }
        }
        let found = shown(&changes(&live(), &wanted, "skep"));
        assert!(found.contains(&change.to_owned()), "{pointer}: {found:?}");
    }
}

#[test]
fn false_says_something_where_absence_does_not() {
    let mut wanted = desired();
    wanted["spec"]["template"]["spec"]["automountServiceAccountToken"] = json!(false);
    assert!(!is_applied(&live(), &wanted, "skep"));
}

#[test]
fn what_this_manager_wrote_and_now_leaves_out_goes_away() {
    let mut wanted = desired();
    wanted["spec"].as_object_mut().expect("a map").remove("replicas");
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A"}]);
    wanted["spec"]["template"]["spec"]["containers"][0]["ports"] = json!(null);
    assert_eq!(
        shown(&changes(&live(), &wanted, "skep")),
        [
            "spec.replicas: 3 → -",
            "spec.template.spec.containers[api].env[B]: {\"name\":\"B\",\"value\":\"1\"} → -",
            "spec.template.spec.containers[api].ports: [{\"containerPort\":8000,\"protocol\":\"TCP\"}] → -",
        ]
    );
    assert!(is_applied(&live(), &wanted, "somebody-else"), "what others wrote is theirs");
}

#[test]
fn init_containers_have_an_order() {
    let pod = |names: [&str; 2]| json!({"kind": "Pod", "spec": {"initContainers": [{"name": names[0]}, {"name": names[1]}]}});
    assert_eq!(
        shown(&changes(&pod(["a", "b"]), &pod(["b", "a"]), "skep")),
        ["spec.initContainers: [\"a\",\"b\"] → [\"b\",\"a\"]"]
    );
}

#[test]
fn lists_without_keys_are_compared_whole() {
    let pod = |args: &[&str]| json!({"kind": "Pod", "spec": {"containers": [{"name": "a", "args": args}]}});
    assert_eq!(
        shown(&changes(&pod(&["serve", "-v"]), &pod(&["serve"]), "skep")),
        ["spec.containers[a].args: [\"serve\",\"-v\"] → [\"serve\"]"]
    );
    assert_eq!(
        shown(&changes(&pod(&["a", "b"]), &pod(&["b", "a"]), "skep")),
        ["spec.containers[a].args[0]: \"a\" → \"b\"", "spec.containers[a].args[1]: \"b\" → \"a\""]
    );
}

#[test]
fn differences_look_both_ways() {
    let mut before = desired();
    before["spec"]["paused"] = json!(true);
    before["spec"]["template"]["spec"]["volumes"] = json!([{"name": "old", "emptyDir": {}}]);
    assert_eq!(
        shown(&differences(&before, &desired())),
        [
            "spec.paused: true → -",
            "spec.template.spec.volumes[old]: {\"emptyDir\":{},\"name\":\"old\"} → -",
            "spec.template.spec.volumes[tmp]: - → {\"emptyDir\":{\"sizeLimit\":\"1Gi\"},\"name\":\"tmp\"}",
        ]
    );
}

#[test]
fn a_secret_s_values_are_hidden() {
    let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "data": {"KEY": value}});
    assert_eq!(
        shown(&differences(&secret("aHVudGVyMg=="), &secret("aHVudGVyMw=="))),
        ["data.KEY: \"(hidden)\" → \"(hidden)\""]
    );
}

#[test]
fn what_the_server_will_refuse() {
    let mut wanted = desired();
    wanted["spec"]["replicas"] = json!(4);
    assert!(immutable_changes(&live(), &wanted, "skep").is_empty());
    wanted["spec"]["selector"]["matchLabels"]["tier"] = json!("web");
    assert_eq!(
        shown(&immutable_changes(&live(), &wanted, "skep")),
        ["spec.selector.matchLabels.tier: - → \"web\""]
    );
    let set = |value: &str, frozen| json!({"kind": "ConfigMap", "data": {"A": value}, "immutable": frozen});
    assert_eq!(immutable_changes(&set("1", true), &set("2", true), "skep").len(), 1);
    assert!(immutable_changes(&set("1", false), &set("2", false), "skep").is_empty());
}

#[test]
fn service_ports_are_told_apart_by_number() {
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports}});
    let live = service(json!([{"port": 80, "protocol": "TCP", "targetPort": 8000, "nodePort": 30001}]));
    assert!(is_applied(&live, &service(json!([{"port": 80, "targetPort": 8000}])), "skep"));
    assert!(!is_applied(&live, &service(json!([{"port": 80, "targetPort": "http"}])), "skep"));
}
