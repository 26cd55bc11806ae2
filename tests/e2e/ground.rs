//! Machines that allow less: odd and full file systems, no namespaces, no root, no resolver, no packages; and what hive leaves of itself.

use std::{fs, process::Command};

use serde_json::Value;
use skep_tests::{
    Ground, HoneyDue, Mount, Outcome, PATIENCE, World, after, behind_mounts, eventually, wrapped,
};

/// A user that no machine has.
const NOBODY: u32 = 12345;

#[test]
fn a_state_directory_on_an_overlay_file_system() {
    let parts = tempfile::tempdir().expect("a temporary folder");
    let overlay = Mount::overlay(parts.path());
    let ground = Ground::new().with_hive_dir(overlay.path().join("hive"));
    ground.skep(&["up"]).ok().says("shop v1 is live");
    assert_eq!(ground.world.get("/").as_deref(), Ok("hello from one\n"));
    ground.skep(&["hive", "stop"]).ok();
    ground.skep(&["up"]).ok().says("nothing was changed");
    eventually("the page to answer again", PATIENCE, || ground.world.get("/").ok());
    ground.world.project.write("release", "two\n");
    ground.skep(&["deploy"]).ok();
    assert_eq!(ground.world.get("/").as_deref(), Ok("hello from two\n"));
    ground.skep(&["hive", "stop"]).ok();
}

#[test]
fn a_full_disk_is_told_and_once_there_is_room_the_deploy_goes_on() {
    let parts = tempfile::tempdir().expect("a temporary folder");
    let disk = Mount::new("tmpfs", "size=16m", parts.path().join("disk"));
    let ground = Ground::new().with_hive_dir(disk.path().join("hive"));
    ground.skep(&["hive", "start"]).ok();
    disk.fill(1 << 20);
    let registry = ground.skep(&["hive", "status", "--output", "json"]).ok().json()[0]["registry"].clone();
    let registry = registry.as_str().expect("hive names its registry");
    let failed = ground.skep(&["deploy"]).code(13).says(registry).says("no space left").says("hint: ");
    failed.says("remove unused images");
    let mut find = Command::new("find");
    find.arg(disk.path().join("hive/registry")).args(["-type", "f", "("]);
    find.args(["-path", "*/_manifests/*", "-o", "-path", "*/_tags/*", "-o", "-path", "*/uploads/*", ")"]);
    eventually("what was half pushed to go", PATIENCE, || {
        Outcome::of(&mut find).ok().stdout.is_empty().then_some(())
    });
    ground.skep(&["history"]).ok().says("no release yet");

    disk.remount("size=512m");
    ground.skep(&["deploy"]).ok().says("shop v1 is live");
    assert_eq!(ground.world.get("/").as_deref(), Ok("hello from one\n"));
    ground.skep(&["hive", "stop"]).ok();
}

/// What hive acknowledged is there after a restart, and what it could not keep it refused.
#[test]
fn hive_refuses_a_write_that_its_full_disk_cannot_keep() {
    let parts = tempfile::tempdir().expect("a temporary folder");
    let disk = Mount::new("tmpfs", "size=16m", parts.path().join("disk"));
    let ground = Ground::new().with_hive_dir(disk.path().join("hive"));
    ground.skep(&["hive", "start"]).ok();
    disk.fill(1 << 20);
    let value = ground.world.path().join("value");
    fs::write(&value, "x".repeat(200_000)).expect("a file can be written");
    let value = format!("--from-file=value={}", value.display());
    let mut kept = Vec::new();
    let refused = (0..64).find_map(|number| {
        let name = format!("big-{number}");
        let made = ground.kubectl(&["create", "configmap", &name, &value]);
        if made.code == Some(0) {
            kept.push(name);
            return None;
        }
        Some(made)
    });
    let refused = refused.expect("1 MB does not hold 64 objects of 200 kB");
    refused.says("the change could not be written to the store's file");

    disk.remount("size=512m");
    kill_hive(&ground);
    ground.skep(&["hive", "start"]).ok();
    let found = names(&ground.objects("configmaps"));
    for name in &kept {
        assert!(found.contains(name), "{name} was acknowledged, and is not in {found:?}");
    }
    ground.kubectl(&["create", "configmap", "after"]).ok();
    ground.skep(&["hive", "stop"]).ok();
}

fn names(objects: &[Value]) -> Vec<String> {
    objects.iter().filter_map(|one| Some(one["metadata"]["name"].as_str()?.to_owned())).collect()
}

#[test]
fn without_permission_for_namespaces_a_deploy_ends_and_says_why() {
    let none = "for kind in user mnt pid net uts ipc; do echo 0 >/proc/sys/user/max_${kind}_namespaces; done";
    let id = NOBODY.to_string();
    let user = ["--reuid", &id, "--regid", &id, "--clear-groups", "--", "unshare", "-Ur"];
    let ground = Ground::new().as_user(NOBODY).through(after("setpriv", &user, none));
    ground.world.project.edit("skep.yaml", "\nconfig:", "\nrollout: { no-progress: 2s }\nconfig:");
    ground.skep(&["hive", "start"]).ok();
    let node = ground.objects("nodes").remove(0);
    let ready = &node["status"]["conditions"][0];
    assert_eq!(ready["status"], "False");
    let why = "a limit below /proc/sys/user/max_*_namespaces is reached";
    assert!(ready["message"].as_str().is_some_and(|message| message.contains(why)), "{ready}");
    let failed = ground.skep(&["deploy"]).code(19).says("is in trouble");
    failed.says(why).says("run as root, or allow unprivileged user namespaces").says("hint: ");
    let pods = ground.objects("pods");
    assert!(!pods.is_empty() && pods.iter().all(|pod| pod["status"]["phase"] == "Pending"), "{pods:?}");
    ground.skep(&["hive", "stop"]).ok();
}

const CALLER: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: caller }
spec:
  selector: { matchLabels: { app: caller } }
  template:
    metadata: { labels: { app: caller } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: caller
          image: caller
          args: [\"until /busybox wget -q -O - http://shop:8080/; do /busybox sleep 0.2; done; exec /busybox sleep 3600\"]
";

/// The shop as an unprivileged user ships it: its app binds the pod's own address, and its Service has a second port above 1024.
fn rootless_shop() -> Ground {
    let ground = Ground::new();
    let project = &ground.world.project;
    project.edit(
        "k8s/shop.yaml",
        "          envFrom",
        "          env: [{ name: BIND_ADDR, valueFrom: { fieldRef: { fieldPath: status.podIP } } }]\n          envFrom",
    );
    project.edit(
        "k8s/traffic.yaml",
        "ports: [{ port: 80, targetPort: http }]",
        "ports: [{ name: web, port: 80, targetPort: http }, { name: high, port: 8080, targetPort: http }]",
    );
    project.edit(
        "skep.yaml",
        "\nmanifests:",
        "\n  caller: { native: { files: { /busybox: /bin/busybox }, entrypoint: [/busybox, sh, -c] } }\nmanifests:",
    );
    project.write("k8s/caller.yaml", CALLER);
    ground.as_user(NOBODY)
}

#[test]
fn without_root_the_story_is_the_same() {
    let ground = rootless_shop();
    let world = &ground.world;
    ground.skep(&["up"]).ok().says("shop v1 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    let pods = ground.objects("pods");
    let addresses: Vec<&str> = pods.iter().filter_map(|pod| pod["status"]["podIP"].as_str()).collect();
    assert!(addresses.len() >= 3 && addresses.iter().all(|ip| ip.starts_with("127.")), "{addresses:?}");
    eventually("the caller to reach the shop by its name", PATIENCE, || {
        ground.skep(&["logs", "caller"]).stdout.contains("hello from one").then_some(())
    });
    // Port 80 of its Service is for root alone; whoever wonders is told.
    let events = ground.objects("events");
    let told = events
        .iter()
        .find(|event| event["reason"] == "FailedToListen")
        .unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!(told["involvedObject"]["name"], "shop");
    let message = told["message"].as_str().unwrap_or_default();
    assert!(message.contains(":80: ports below 1024 need root"), "{message}");

    world.project.write("release", "two\n");
    ground.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    ground.skep(&["rollback"]).ok();
    eventually("the old release to answer", PATIENCE, || {
        (world.get("/").as_deref() == Ok("hello from one\n")).then_some(())
    });

    let footprint = ground.footprint();
    assert!(footprint.processes() >= 5, "{footprint:?}");
    kill_hive(&ground);
    footprint.await_nothing();
    world.project.write("release", "one\n");
    ground.skep(&["up"]).ok().says("nothing was changed");
    eventually("the page to answer again", PATIENCE, || world.get("/").ok());
    let footprint = ground.footprint();
    ground.skep(&["down", "--wipe"]).ok();
    footprint.await_nothing();
    assert!(!ground.hive_dir().exists(), "what containers made can be removed by who ran them");
}

fn kill_hive(ground: &Ground) {
    killed(ground.hive_pid().expect("hive runs"));
}

/// Kills a process and returns as soon as it has stopped being one, whoever reaps it and when.
fn killed(pid: u32) {
    World::kill_9(pid);
    eventually("a killed process to end", PATIENCE, || {
        fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |arguments| arguments.is_empty()).then_some(())
    });
}

#[test]
fn hive_leaves_nothing_behind() {
    let ground = Ground::new();
    ground.skep(&["up"]).ok();
    let footprint = ground.footprint();
    assert!(footprint.processes() >= 4 && footprint.links() == 3, "{footprint:?}");
    ground.skep(&["hive", "stop"]).ok();
    footprint.await_nothing();

    ground.skep(&["up"]).ok();
    let killed = ground.footprint();
    kill_hive(&ground);
    ground.skep(&["hive", "start"]).ok();
    eventually("the page to answer again", PATIENCE, || ground.world.get("/").ok());
    let footprint = ground.footprint();
    ground.skep(&["hive", "stop"]).ok();
    footprint.await_nothing();
    killed.await_nothing();
}

#[test]
fn a_resolver_that_does_not_know_names_below_localhost() {
    let ground = Ground::new();
    ground.world.project.edit(
        "skep.yaml",
        "\nconfig:",
        "\nverify: [\"http://shop.localhost:8080/\"]\nconfig:",
    );
    let files = tempfile::tempdir().expect("a temporary folder");
    let (hosts, switch) = (files.path().join("hosts"), files.path().join("nsswitch.conf"));
    fs::write(&hosts, "127.0.0.1 elsewhere\n").expect("a file can be written");
    fs::write(&switch, "hosts: files\n").expect("a file can be written");
    let script = format!(
        "mount --bind {} /etc/hosts; mount --bind {} /etc/nsswitch.conf",
        hosts.display(),
        switch.display()
    );
    ground.skep(&["hive", "start"]).ok();
    let deaf = behind_mounts(&script);
    let asked = Outcome::of(&mut wrapped(Command::new("getent").args(["ahosts", "shop.localhost"]), &deaf));
    assert_ne!(asked.code, Some(0), "the resolver still knows it\n{asked}");
    ground.skep_through(&deaf, &["deploy"]).ok().says("1 URL answers").says("shop v1 is live");
}

#[test]
fn a_missing_package_is_named() {
    let app = HoneyDue::new();
    app.skep(&["hive", "start"]).ok();
    let hidden = behind_mounts("mount -t tmpfs none /usr/lib/postgresql");
    let mut command = app.world().command(&["deploy"]);
    command.current_dir(app.dir());
    let failed = Outcome::of(&mut wrapped(&command, &hidden)).code(12);
    failed.says("no /usr/lib/postgresql/*/bin/postgres").says("hint: ").says("apt-get install postgresql");
}

#[test]
fn a_state_directory_that_is_in_use_and_a_hive_that_already_runs() {
    let (one, two) = (World::new(), World::new());
    let third = one.skep(&["hive", "run"]).code(1).says("is in use by another hive (process ");
    third.says(&format!("process {}", one.hive_pid())).says("hint: stop it first");
    let before = one.hive_pid();
    one.skep(&["hive", "start"]).ok().says("hive is running");
    assert_eq!(one.hive_pid(), before);
    assert_ne!(two.hive_pid(), before);
}

#[test]
fn the_port_of_the_ingress_is_kept() {
    let world = World::without_hive();
    let skep = |arguments: &[&str], port: Option<u16>| {
        let mut command = world.command(arguments);
        command.env_remove("SKEP_HTTP_PORT");
        if let Some(port) = port {
            command.env("SKEP_HTTP_PORT", port.to_string());
        }
        Outcome::of(&mut command).ok()
    };
    let port_now =
        || world.skep(&["hive", "status", "--output", "json"]).ok().json()[0]["ingressPort"].clone();
    skep(&["hive", "start", "--port", &world.port().to_string()], None);
    skep(&["hive", "stop"], None);
    skep(&["hive", "start"], None).says(&format!("http://*.localhost:{}", world.port()));
    assert_eq!(port_now(), world.port());
    skep(&["hive", "stop"], None);

    let other = World::without_hive().port();
    skep(&["hive", "start"], Some(other));
    killed(world.hive_pid());
    skep(&["hive", "start"], None);
    assert_eq!(port_now(), other);
}
