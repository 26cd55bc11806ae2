//! After a release that failed, the last good one runs again: images, config, secrets and manifests, verified.

use std::{fs, process::Command};

use serde_json::Value;
use skep_tests::{Outcome, World};

/// One key of the shop's ConfigMap, as its pods read it now.
fn greets(world: &World) -> String {
    world.get("/").expect("it answers")
}

fn status(world: &World, number: u64) -> Value {
    let shown = world.skep(&["show", &number.to_string(), "--output", "json"]).ok();
    shown.json().remove(0)["status"].clone()
}

#[test]
fn promise_2_a_failed_release_is_taken_back_with_its_config_and_what_it_added() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    let load = world.load("/", 50);
    world.project.write("release", "crash\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    let extra = "apiVersion: v1\nkind: Service\nmetadata: { name: extra }\nspec: { selector: { app: shop }, ports: [{ port: 81, targetPort: 8000 }] }\n";
    world.project.write("k8s/extra.yaml", extra);
    let failed = world.skep(&["deploy"]).code(30);
    failed
        .says("v2 failed")
        .says("v1 is put back")
        .says("v1 runs again, as v3")
        .says("exit code 3")
        .says("kept: `skep bundle v2` writes");
    let tally = load.stop();
    assert_eq!(tally.bad, Vec::<String>::new(), "the old pods have served throughout");
    assert_eq!(greets(&world), "hello from one\n");
    assert_eq!((status(&world, 2), status(&world, 3)), ("restored".into(), "deployed".into()));
    world.kubectl(&["get", "service", "extra"]).says("NotFound");
    world.skep(&["history"]).ok().says("back to v1, since v2 failed");
    // What runs is v1: going back from here goes further back, and there is nothing.
    world.skep(&["rollback"]).code(14).says("no earlier good release");
}

#[test]
fn with_no_restore_everything_stays_as_the_failure_left_it() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "crash\n");
    world.skep(&["deploy", "--no-restore"]).code(19).says("nothing was put back: `--no-restore` was given");
    assert_eq!(status(&world, 2), "failed");
    // Both failures are taken back at once: the second one wrote no more than a label of its own.
    world.project.write("shop.env", "GREETING=good evening\n");
    world.skep(&["deploy"]).code(30).says("v1 runs again, as v4");
    assert_eq!(greets(&world), "hello from one\n");
}

#[test]
fn a_first_deploy_has_nothing_to_put_back_and_says_so() {
    let world = World::new();
    world.project.write("release", "crash\n");
    let failed = world.skep(&["deploy", "--output", "json"]).code(19);
    let error = failed.json().pop().expect("an error");
    assert_eq!(error["restoration"]["is"], "left");
    assert_eq!(error["restoration"]["because"], "no release before this one went well");
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 2, "nothing is scaled");
}

#[test]
fn fields_that_others_own_are_left_alone_when_a_release_is_taken_back() {
    let world = World::new();
    world.project.add_idle();
    world.skep(&["deploy"]).ok();
    world.kubectl(&["annotate", "service", "shop", "team=night"]).ok();
    world.kubectl(&["scale", "deployment", "idle", "--replicas=2"]).ok();
    world.project.write("release", "crash\n");
    world.skep(&["deploy", "shop"]).code(30);
    assert_eq!(world.object("service", "shop")["metadata"]["annotations"]["team"], "night");
    assert_eq!(
        world.object("deployment", "idle")["spec"]["replicas"],
        2,
        "the failed release never wrote it"
    );
}

#[test]
fn what_was_broken_before_is_told_apart_and_nothing_is_put_back() {
    let world = World::new();
    world.project.add_idle();
    world.skep(&["deploy"]).ok();
    let env = r#"{"spec":{"template":{"spec":{"containers":[{"name":"shop","env":[{"name":"X","valueFrom":{"configMapKeyRef":{"name":"none","key":"x"}}}]}]}}}}"#;
    world.kubectl(&["patch", "deployment", "idle", "-p", env]).ok();
    skep_tests::eventually("it to be ill", skep_tests::PATIENCE, || {
        (world.skep(&["diagnose", "idle"]).code == Some(2)).then_some(())
    });
    world.project.write("release", "two\n");
    let failed = world.skep(&["deploy", "shop"]).code(19);
    failed.says("was not well before this release either");
    assert_eq!(greets(&world), "hello from two\n", "the new pods were awaited all the same");
    // What breaks besides is taken back, and that the other is still ill makes it no failure.
    world.project.write("release", "crash\n");
    world.skep(&["deploy", "shop"]).code(30).says("and is as it was").says("v1 runs again");
    assert_eq!(greets(&world), "hello from one\n");
}

#[test]
fn a_restore_that_fails_is_told_as_that_with_each_service_as_it_stands() {
    let world = World::new();
    world.kubectl(&["create", "namespace", world.namespace()]).ok();
    world.kubectl(&["create", "configmap", "theirs", "--from-literal=key=value"]).ok();
    world.project.edit(
        "k8s/shop.yaml",
        "strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }",
        "strategy: { type: Recreate }",
    );
    world.project.edit(
        "k8s/shop.yaml",
        "          envFrom",
        "          env: [{ name: X, valueFrom: { configMapKeyRef: { name: theirs, key: key } } }]\n          envFrom",
    );
    world.project.add_idle();
    world.skep(&["deploy"]).ok();
    // What v1 needs goes away behind its back: v1 can't come again.
    world.kubectl(&["delete", "configmap", "theirs"]).ok();
    world.project.edit(
        "k8s/shop.yaml",
        "configMapKeyRef: { name: theirs,",
        "configMapKeyRef: { name: others,",
    );
    let failed = world.skep(&["deploy", "shop"]).code(31);
    failed
        .says("v1 could NOT be put back")
        .says("\"theirs\"")
        .says("shop: 0 pods ready, 2 wanted: NOTHING serves it")
        .says("idle: 2 pods ready, 2 wanted");
    assert_eq!((status(&world, 2), status(&world, 3)), ("failed".into(), "failed".into()));
}

#[test]
fn what_was_found_when_a_release_failed_is_kept_without_secrets_and_handed_out_anywhere() {
    let world = World::new();
    world.project.edit(
        "skep.yaml",
        "\nconfig:",
        "\nsecrets: { shop-secrets: { env-files: [secret.env] } }\nconfig:",
    );
    world.project.write("secret.env", "TOKEN=hunter2-of-old\n");
    world.skep(&["deploy"]).ok();
    world.skep(&["bundle"]).code(10).says("no release that is kept has a bundle");
    world.project.write("release", "crash can't log in with hunter2-of-old\n");
    let failed = world.skep(&["deploy"]).code(30).says("panic: can't log in with ***").never_says("hunter2");
    assert!(failed.stderr.contains("skep bundle v2"));

    // Neither the pods nor this machine have to be there any more.
    let listed = world.skep(&["bundle"]).ok().says("shop-v2.tar.gz: what was found when v2 failed");
    listed.says("failure.txt").says("release.json").says("events.txt").says("objects/Deployment-shop.json");
    let folder = world.project.dir();
    Outcome::of(Command::new("tar").args(["-xzf", "shop-v2.tar.gz"]).current_dir(folder)).ok();
    let read =
        |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read("failure.txt").contains("it ended 3 times; the last time with exit code 3"));
    assert!(read("events.txt").contains(" BackOff"), "{}", read("events.txt"));
    let record: Value = serde_json::from_str(&read("release.json")).expect("it is JSON");
    assert_eq!((&record["number"], &record["status"]), (&2.into(), &"failed".into()));
    // Of the container that runs, or of the one before it: a node keeps no more than one that has ended.
    let pods = fs::read_dir(folder.join("logs")).expect("there are logs").flatten();
    let files = pods.flat_map(|pod| fs::read_dir(pod.path()).expect("a folder").flatten());
    let logs: Vec<String> = files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    let told = |log: &&String| log.lines().any(|line| line == "panic: can't log in with ***");
    assert!(logs.iter().any(|log| told(&log) && log.lines().any(|line| line == "starting")), "{logs:?}");
    let mut grep = Command::new("grep");
    let grep = grep.args(["-r", "hunter2", "logs", "objects", "failure.txt", "events.txt", "release.json"]);
    assert_eq!(Outcome::of(grep.current_dir(folder)).stdout, "");
    world.skep(&["bundle", "1"]).code(10).says("v1 has no bundle");
    world.skep(&["bundle", "v9"]).code(10).says("there is no v9");
}
