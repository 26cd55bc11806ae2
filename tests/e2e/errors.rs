//! Mistakes that people make: each is told with file and line where there is one, what was expected, and a hint.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use skep_tests::{Outcome, World, eventually};

#[test]
fn an_unknown_key_of_the_project_file() {
    let world = World::without_hive();
    world.project.edit("skep.yaml", "manifests:", "manifets:");
    world.skep(&["deploy"]).code(10).says("skep.yaml:4").says("manifets").says("did you mean `manifests`");
}

#[test]
fn a_missing_manifest_folder() {
    let world = World::new();
    world.project.edit("skep.yaml", "manifests: k8s", "manifests: kubernetes");
    world.skep(&["deploy"]).code(10).says("kubernetes").says("there is no such file or").says("skep.yaml:4");
}

#[test]
fn an_image_that_nobody_builds() {
    let world = World::new();
    world.project.edit("k8s/shop.yaml", "image: shop", "image: shoop");
    world.skep(&["deploy"]).code(11).says("k8s/shop.yaml:14").says("shoop").says("use one of shop");
}

#[test]
fn a_manifest_with_a_yaml_error() {
    let world = World::new();
    world.project.edit("k8s/shop.yaml", "  replicas: 2", "  replicas: [2");
    world.skep(&["deploy"]).code(10).says("k8s/shop.yaml:");
}

#[test]
fn a_field_that_kubernetes_does_not_know() {
    let world = World::new();
    world.project.edit("k8s/shop.yaml", "  replicas: 2", "  replica: 2");
    world.skep(&["deploy"]).code(14).says("Deployment/shop").says("spec.replica");
}

#[test]
fn a_binary_that_was_not_built() {
    let world = World::new();
    world.project.edit("skep.yaml", "/release: release", "/release: nowhere");
    world.skep(&["deploy"]).code(12).says("nowhere");
}

#[test]
fn hive_is_not_running() {
    let world = World::without_hive();
    world.skep(&["deploy"]).code(1).says("hive is not running").says("skep up");
}

#[test]
fn while_hive_does_not_run_check_tells_what_can_be_known_without_it() {
    let world = World::without_hive();
    let found = world.skep(&["check"]).ok().says("hive is not running, so its registry was not asked");
    found.says("skep up");
    world.project.edit("k8s/shop.yaml", "image: shop\n", "image: shopp\n");
    world.skep(&["check"]).code(11).says("shopp").says("hive is not running");
    assert!(!world.skep(&["hive", "status"]).stdout.contains("running at"), "it was not started for that");
}

#[test]
fn a_target_that_nobody_named() {
    let world = World::without_hive();
    world.skep(&["deploy", "-t", "prod"]).code(10).says("prod").says("local");
}

/// `defaultMode: 0400`, `on`, anchors and merge keys mean what they mean to kubectl.
#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    let world = World::new();
    world.project.edit(
        "k8s/shop.yaml",
        "      containers:",
        "      volumes: [{ name: conf, configMap: { name: shop-config, defaultMode: 0400 } }]\n      hostNetwork: off\n      containers:",
    );
    world.skep(&["deploy"]).ok();
    let spec = world.object("deployment", "shop")["spec"]["template"]["spec"].clone();
    assert_eq!(spec["volumes"][0]["configMap"]["defaultMode"], 256);
    assert_ne!(spec["hostNetwork"], true);
}

/// A server that takes connections and says nothing is told within the time that a request has, and nobody who only looks has to wait
/// for that.
#[test]
fn a_cluster_that_never_answers_is_told_and_can_be_left() {
    let world = World::without_hive();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = silent.local_addr().expect("its address");
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{ name: far, cluster: {{ server: \"http://{server}\" }} }}]\n\
         users: [{{ name: me, user: {{ token: t }} }}]\ncontexts: [{{ name: far, context: {{ cluster: far, user: me }} }}]\n"
    );
    world.project.write("far.yaml", &kubeconfig);
    world.project.append(
        "skep.yaml",
        "registry: registry.example.com/shop\ntargets: { far: { kubeconfig: far.yaml } }\n",
    );

    let mut look = world.command(&["status", "-t", "far"]);
    let look = look.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Skep starts");
    silent.set_nonblocking(true).expect("it can be asked");
    let connected = eventually("Skep to connect", Duration::from_secs(20), || silent.accept().ok());
    let stopped = Instant::now();
    Outcome::of(Command::new("kill").args(["-INT", &look.id().to_string()])).ok();
    Outcome::from(look.wait_with_output().expect("Skep ends")).code(130).says("stopped");
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
    drop(connected);

    let started = Instant::now();
    let told = world.skep(&["status", "-t", "far"]).code(10);
    told.says(&server.to_string()).says("can't be reached").says("within 30 s");
    assert!(started.elapsed() < Duration::from_secs(45), "{:?}", started.elapsed());
}
