//! A release that can't work: the deploy says why, and the old one keeps serving.

use skep_tests::World;

#[test]
fn promise_3_no_waiting_for_what_cannot_succeed_while_the_old_release_serves() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    let load = world.load("/", 50);
    world.project.write("release", "crash the cache is missing\n");
    let failed = world.skep(&["deploy"]).code(30);
    failed.says("panic: the cache is missing").says("exit code 3").says("hint:");
    let tally = load.stop();
    assert_eq!(tally.bad, Vec::<String>::new());
    assert_eq!(tally.bodies, ["hello from one\n"]);
    world.skep(&["history"]).ok().says("restored");

    world.project.write("release", "three\n");
    world.skep(&["deploy"]).ok().says("v4 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from three\n"));
}

#[test]
fn a_pod_that_is_never_ready_fails_when_nothing_moves_any_more() {
    let world = World::new();
    world.project.edit("skep.yaml", "\nconfig:", "\nrollout: { no-progress: 3s }\nconfig:");
    world.project.write("release", "never-ready\n");
    world.skep(&["deploy"]).code(19).says("for 3 s its readiness probe").says("has not passed");
}

#[test]
fn a_missing_key_is_told_at_once() {
    let world = World::new();
    world.project.edit(
        "k8s/shop.yaml",
        "          envFrom",
        "          env: [{ name: X, valueFrom: { configMapKeyRef: { name: shop-config, key: NOPE } } }]\n          envFrom",
    );
    world.skep(&["deploy"]).code(19).says("NOPE").says("add the key");
}

#[test]
fn a_rollback_after_a_failed_deploy_goes_to_the_last_good_release() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "crash\n");
    world.skep(&["deploy", "--no-restore"]).code(19).says("release v2 is closed");
    world.skep(&["rollback"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    world.skep(&["status"]).ok().says("2/2 ready");
}
