//! Foreign judges of hive: kubectl for its API, skopeo for its registry.

use std::process::Command;

use skep_tests::{Outcome, World};

#[test]
fn kubectl_is_at_home() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    let kubectl = |arguments: &[&str]| world.kubectl(arguments);
    kubectl(&["get", "deployments,replicasets,pods,services,ingresses,configmaps"])
        .ok()
        .says("deployment.apps/shop")
        .says("2/2");
    kubectl(&["get", "pods", "-o", "wide"]).ok().says("Running");
    kubectl(&["describe", "deployment", "shop"]).ok().says("NewReplicaSetAvailable").says("RollingUpdate");
    let pods = kubectl(&["get", "pods", "-o", "name"]).ok().stdout;
    let pod = pods.lines().next().expect("a pod");
    kubectl(&["describe", pod]).ok().says("Readiness").says("Container started");
    kubectl(&["rollout", "status", "deployment/shop", "--timeout=20s"]).ok().says("successfully rolled out");
    kubectl(&["rollout", "history", "deployment/shop"]).ok().says("REVISION");
    kubectl(&["logs", "deployment/shop"]).ok().says("release one listens on");
    kubectl(&["scale", "deployment/shop", "--replicas=1"]).ok();
    kubectl(&["rollout", "status", "deployment/shop", "--timeout=20s"]).ok();
    kubectl(&["delete", "service", "shop"]).ok().says("deleted");
    world.kubectl(&["get", "nodes"]).ok().says("Ready");
    world.kubectl(&["version"]).ok().says("Server Version");
}

#[test]
fn kubectl_applies_server_side_and_is_told_of_conflicts() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write(
        "foreign.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: foreign }\ndata: { a: b }\n",
    );
    world.kubectl(&["apply", "--server-side", "-f", "foreign.yaml"]).ok().says("serverside-applied");
    world.kubectl(&["apply", "--server-side", "-f", "foreign.yaml"]).ok();
    world.project.write(
        "taken.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: shop }\nspec: { replicas: 7 }\n",
    );
    world.kubectl(&["apply", "--server-side", "-f", "taken.yaml"]).code(1).says("conflict").says("skep");
    world.kubectl(&["delete", "namespace", world.namespace(), "--timeout=60s"]).ok();
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn promise_1_manifests_stay_plain_kubernetes() {
    let world = World::new();
    world.kubectl(&["create", "namespace", "plain", "--dry-run=client", "-o", "yaml"]).ok();
    world.kubectl(&["apply", "--dry-run=client", "-f", "k8s"]).ok().says("deployment.apps/shop");
}

#[test]
fn skopeo_pulls_what_skep_pushed() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    let image = world.object("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"]
        .as_str()
        .expect("pinned")
        .to_owned();
    let to = format!("dir:{}", world.path().join("pulled").display());
    let from = format!("docker://{image}");
    Outcome::of(Command::new("skopeo").args(["copy", "--src-tls-verify=false", &from, &to])).ok();
    let inspected = Outcome::of(Command::new("skopeo").args(["inspect", "--tls-verify=false", &from])).ok();
    let digest = image.split('@').nth(1).expect("a digest");
    inspected.says(digest);
}
