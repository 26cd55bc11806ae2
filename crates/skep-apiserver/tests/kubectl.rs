//! kubectl 1.36 can't tell the difference.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use serde_json::json;
use skep_apiserver::{Kind, Resources};
use support::Server;

const APP: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example.com/web:1
        ports: [{containerPort: 8000, name: http}]
        readinessProbe: {httpGet: {path: /ready, port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
"#;

#[tokio::test]
async fn applies_reads_changes_and_deletes() {
    let server = Server::start().await;
    let said = server.ok(&["apply", "--server-side", "-f", "-"], APP).await;
    assert!(said.contains("deployment.apps/web serverside-applied"), "{said}");
    let again = server.ok(&["apply", "--server-side", "-f", "-"], APP).await;
    assert!(again.contains("service/web serverside-applied"), "{again}");
    let diff = server.ok(&["diff", "--server-side", "-f", "-"], APP).await;
    assert_eq!(diff, "");

    let table = server.ok(&["get", "deploy,svc,cm"], "").await;
    assert!(table.contains("READY") && table.contains("UP-TO-DATE") && table.contains("0/2"), "{table}");
    assert!(table.contains("CLUSTER-IP") && table.contains("10.96.0.1"), "{table}");
    let wide = server.ok(&["get", "deploy", "web", "-o", "wide"], "").await;
    assert!(wide.contains("example.com/web:1") && wide.contains("app=web"), "{wide}");
    let all = server.ok(&["get", "all", "-A"], "").await;
    assert!(all.contains("deployment.apps/web"), "{all}");
    let yaml = server
        .ok(&["get", "deploy", "web", "-o", "jsonpath={.spec.strategy.rollingUpdate.maxSurge}"], "")
        .await;
    assert_eq!(yaml, "25%");
    assert!(server.ok(&["describe", "deploy", "web"], "").await.contains("25% max unavailable"));

    server.ok(&["set", "image", "deploy/web", "web=example.com/web:2"], "").await;
    server.ok(&["scale", "deploy", "web", "--replicas=3"], "").await;
    server.ok(&["label", "deploy", "web", "tier=front"], "").await;
    server.ok(&["annotate", "deploy", "web", "note=hello"], "").await;
    server.ok(&["rollout", "restart", "deploy/web"], "").await;
    server.ok(&["patch", "cm", "settings", "--type=merge", "-p", r#"{"data":{"b":"2"}}"#], "").await;
    let patch = r#"[{"op":"replace","path":"/data/a","value":"3"}]"#;
    server.ok(&["patch", "cm", "settings", "--type=json", "-p", patch], "").await;
    let live = server.resources.get(Kind::DEPLOYMENT, Some("default"), "web").unwrap();
    assert_eq!(live["spec"]["replicas"], 3);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "example.com/web:2");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"], "http");

    let conflict = server
        .fails(
            &["apply", "--server-side", "--field-manager=other", "-f", "-"],
            &APP.replace("web:1", "web:9"),
        )
        .await;
    assert!(conflict.contains("conflicts with \"kubectl-set\" using apps/v1"), "{conflict}");

    let gone = server.ok(&["delete", "-f", "-"], APP).await;
    assert!(gone.contains("deleted"), "{gone}");
    assert!(server.fails(&["get", "deploy", "web"], "").await.contains("deployments.apps \"web\" not found"));
}

#[tokio::test]
async fn applies_on_the_clients_side_and_moves_to_the_servers() {
    let server = Server::start().await;
    server.ok(&["apply", "-f", "-"], APP).await;
    let changed = APP.replace("replicas: 2", "replicas: 4").replace("example.com/web:1", "example.com/web:2");
    let said = server.ok(&["apply", "-f", "-"], &changed).await;
    assert!(said.contains("deployment.apps/web configured"), "{said}");
    assert!(server.ok(&["apply", "-f", "-"], &changed).await.contains("deployment.apps/web unchanged"));
    let live = server.resources.get(Kind::DEPLOYMENT, Some("default"), "web").unwrap();
    assert_eq!(live["spec"]["replicas"], 4);
    server.ok(&["apply", "--server-side", "-f", "-"], &changed).await;
    let live = server.resources.get(Kind::DEPLOYMENT, Some("default"), "web").unwrap();
    let managers: Vec<_> =
        live["metadata"]["managedFields"].as_array().unwrap().iter().map(|e| &e["manager"]).collect();
    assert!(!managers.contains(&&json!("kubectl-client-side-apply")), "{managers:?}");
}

#[tokio::test]
async fn is_told_what_is_wrong() {
    let server = Server::start().await;
    let typo = APP.replace("replicas: 2", "replica: 2");
    let said = server.fails(&["apply", "--server-side", "-f", "-"], &typo).await;
    assert!(said.contains("unknown field \"spec.replica\""), "{said}");
    let said = server.ok(&["apply", "--server-side", "--validate=warn", "-f", "-"], &typo).await;
    assert!(said.contains("Warning: unknown field \"spec.replica\""), "{said}");
    let live = server.resources.get(Kind::DEPLOYMENT, Some("default"), "web").unwrap();
    assert_eq!(live["spec"].get("replica"), None, "what does not belong is not stored");
    server.ok(&["delete", "deploy", "web"], "").await;
    let selector = APP.replace("matchLabels: {app: web}", "matchLabels: {app: other}");
    let said = server.fails(&["create", "-f", "-"], &selector).await;
    assert!(said.contains("`selector` does not match template `labels`"), "{said}");
    let wrong = APP.replace("replicas: 2", "replicas: many");
    assert!(server.fails(&["create", "-f", "-"], &wrong).await.contains("cannot be handled as a Deployment"));
    let definition = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: bees.example.com}, spec: {group: example.com, names: {kind: Bee, plural: bees}, scope: Namespaced, versions: []}}";
    let said = server.fails(&["apply", "--server-side", "-f", "-"], definition).await;
    assert!(said.contains("no custom resources"), "{said}");
    let said = server.fails(&["get", "pods", "--field-selector=spec.foo=1"], "").await;
    assert!(said.contains("field label \"spec.foo\" not supported"), "{said}");
}

#[tokio::test]
async fn waits_for_a_rollout_and_for_conditions() {
    let server = Server::start().await;
    server.ok(&["apply", "--server-side", "-f", "-"], APP).await;
    let status = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [{"type": "Available", "status": "True"}]});
    let rollout = async {
        let resources = server.resources.clone();
        set_status(&resources, status).await;
        server.ok(&["rollout", "status", "deploy/web", "--timeout=20s"], "").await
    };
    let wait = server.ok(&["wait", "--for=condition=Available", "deploy/web", "--timeout=20s"], "");
    let (rollout, wait) = tokio::join!(rollout, wait);
    assert!(rollout.contains("successfully rolled out"), "{rollout}");
    assert!(wait.contains("condition met"), "{wait}");
}

async fn set_status(resources: &Resources, status: serde_json::Value) {
    let mut object = (*resources.get(Kind::DEPLOYMENT, Some("default"), "web").unwrap()).clone();
    object["status"] = status;
    resources.update_status(object, "controller").await.unwrap();
}

#[tokio::test]
async fn reads_logs_and_creates_by_name() {
    let server = Server::start().await;
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {nodeName: hive, containers: [{name: a, image: example.com/a}, {name: b, image: example.com/b}]}}";
    server.ok(&["create", "-f", "-"], pod).await;
    assert_eq!(server.ok(&["logs", "p", "-c", "b", "--tail=5"], "").await, "p b tail=Some(5)\n");
    let said = server.fails(&["logs", "p", "-c", "none"], "").await;
    assert!(said.contains("container none is not valid for pod p"), "{said}");
    server.ok(&["create", "namespace", "app"], "").await;
    server.ok(&["create", "configmap", "settings", "-n", "app", "--from-literal=a=1"], "").await;
    server.ok(&["create", "secret", "generic", "keys", "-n", "app", "--from-literal=k=v"], "").await;
    server
        .ok(
            &[
                "create",
                "deployment",
                "web",
                "-n",
                "app",
                "--image=example.com/web:1",
                "--port=8000",
                "--replicas=2",
            ],
            "",
        )
        .await;
    server.ok(&["create", "job", "once", "-n", "app", "--image=example.com/job:1", "--", "true"], "").await;
    let secret = server.resources.get(Kind::SECRET, Some("app"), "keys").unwrap();
    assert_eq!(secret["data"], json!({"k": "dg=="}));
    let web = server.resources.get(Kind::DEPLOYMENT, Some("app"), "web").unwrap();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"], 8000);
    assert_eq!(web["spec"]["replicas"], 2);
    assert!(server.ok(&["auth", "can-i", "create", "pods"], "").await.contains("yes"));
    assert!(server.ok(&["get", "ns"], "").await.contains("Active"));
    assert!(server.ok(&["version"], "").await.contains("Server Version: v1.36.0"));
}

#[tokio::test]
async fn history_and_undo_find_the_replica_sets() {
    let server = Server::start().await;
    server.ok(&["apply", "--server-side", "-f", "-"], APP).await;
    let live = server.resources.get(Kind::DEPLOYMENT, Some("default"), "web").unwrap();
    for revision in ["1", "2"] {
        let mut template = live["spec"]["template"].clone();
        template["metadata"]["labels"]["pod-template-hash"] = json!(revision);
        template["spec"]["containers"][0]["image"] = json!(format!("example.com/web:{revision}"));
        let labels = template["metadata"]["labels"].clone();
        let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": format!("web-{revision}"), "namespace": "default", "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": live["metadata"]["uid"], "controller": true}]},
            "spec": {"selector": {"matchLabels": labels}, "template": template}});
        server.resources.create(set, "deployment-controller").await.unwrap();
    }
    let mut current = (*live).clone();
    current["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.com/web:2");
    current["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "2"});
    server.resources.update(current, "deployment-controller").await.unwrap();
    let history = server.ok(&["rollout", "history", "deploy/web"], "").await;
    assert!(history.contains("REVISION") && history.contains("1 ") && history.contains("2 "), "{history}");
    let said = server.ok(&["rollout", "undo", "deploy/web"], "").await;
    assert!(said.contains("rolled back"), "{said}");
    let live = server.resources.get(Kind::DEPLOYMENT, Some("default"), "web").unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "example.com/web:1");
}

#[tokio::test]
async fn describes_a_pod_with_its_events_and_watches_a_table() {
    let server = Server::start().await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "hive", "containers": [{"name": "a", "image": "example.com/a"}]}});
    let pod = server.resources.create(pod, "test").await.unwrap();
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "p.", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default", "uid": pod["metadata"]["uid"]},
        "reason": "Pulled", "message": "image is here", "type": "Normal", "source": {"component": "hive"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1});
    server.resources.create(event, "hive").await.unwrap();
    let described = server.ok(&["describe", "pod", "p"], "").await;
    assert!(described.contains("image is here") && described.contains("QoS Class:"), "{described}");
    assert!(server.ok(&["get", "events"], "").await.contains("pod/p"));
    assert!(server.ok(&["events"], "").await.contains("image is here"));
    let view = server.ok(&["get", "events.v1.events.k8s.io", "-o", "jsonpath={.items[0].note}"], "").await;
    assert_eq!(view, "image is here");
    let watched =
        server.kubectl(&["get", "pods", "-w", "--output-watch-events", "--request-timeout=1s"], "").await;
    let watched = String::from_utf8_lossy(&watched.stdout);
    assert!(watched.contains("EVENT") && watched.contains("ADDED") && watched.contains("0/1"), "{watched}");
    let wide = server.ok(&["get", "pods", "-o", "wide", "--show-labels"], "").await;
    assert!(wide.contains("hive") && wide.contains("LABELS"), "{wide}");
    let deleted = server.ok(&["delete", "pod", "p", "--force", "--grace-period=0"], "").await;
    assert!(deleted.contains("force deleted"), "{deleted}");
    let crd = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.b}}";
    let said = server.fails(&["create", "-f", "-"], crd).await;
    assert!(said.contains("hive serves no custom resources"), "{said}");
}
