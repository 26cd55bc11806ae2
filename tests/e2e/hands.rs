//! What people do with their own hands, to the cluster and to the project, and what the next deploy says of it.

use skep_tests::{World, eventually};
use std::time::Duration;

#[test]
fn a_hand_edit_is_told_with_its_manager_and_a_rollback_takes_it_back() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.kubectl(&["scale", "deployment/shop", "--replicas=1"]).ok();
    world
        .kubectl(&[
            "patch",
            "service",
            "shop",
            "--type=merge",
            "-p",
            r#"{"spec":{"ports":[{"port":80,"targetPort":9}]}}"#,
        ])
        .ok();
    let refused = world.skep(&["deploy"]).code(14);
    refused.says("Deployment/shop").says("spec.replicas").says("Service/shop").says("kubectl").says("hint:");
    world.skep(&["rollback", "v1"]).ok();
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 2);
    world.skep(&["deploy"]).ok();
}

#[test]
fn a_deleted_service_is_shown_as_such_and_put_back() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.kubectl(&["delete", "deployment", "shop"]).ok();
    world.skep(&["status"]).ok().says("deleted from the cluster");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn up_waits_for_what_a_restarted_machine_brings_back() {
    let Some(world) = World::on_hive("it kills hive") else { return };
    world.skep(&["deploy"]).ok();
    World::kill_9(world.hive_pid());
    world.skep(&["up"]).ok().says("1 service ready").says("nothing was changed");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn an_empty_manifests_folder_removes_nothing() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.remove("k8s/shop.yaml");
    world.project.remove("k8s/traffic.yaml");
    world.skep(&["deploy"]).code(14).says("this would remove every service").says("manifests");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn a_kind_that_nobody_serves_is_refused_before_anything_moves() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("k8s/odd.yaml", "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: { name: odd }\n");
    world.skep(&["deploy"]).code(14).says("k8s/odd.yaml:1").says("Deploymnet");
    world.skep(&["history"]).ok().never_says("v2");
    world.project.remove("k8s/odd.yaml");
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
}

#[test]
fn each_rollback_goes_further_back() {
    let world = World::new();
    for release in ["one", "two", "three"] {
        world.project.write("release", &format!("{release}\n"));
        world.skep(&["deploy"]).ok();
    }
    world.skep(&["rollback"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    world.skep(&["rollback"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn two_deploys_at_once_end_in_one_state() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    let mut first = world.start(&["deploy"]);
    let second = world.skep(&["deploy"]);
    first.wait().expect("it was started");
    assert!(matches!(second.code, Some(0 | 15)), "it succeeds, or says who holds the lock\n{second}");
    if second.code == Some(15) {
        second.says("is being deployed by");
    }
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
}

#[test]
fn a_terminated_deploy_closes_its_record() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "never-ready\n");
    let mut deploy = world.start(&["deploy"]);
    eventually("the roll to begin", Duration::from_secs(30), || {
        (world.object("deployment", "shop")["metadata"]["generation"] == 2).then_some(())
    });
    skep_tests::Outcome::of(std::process::Command::new("kill").args(["-TERM", &deploy.id().to_string()]))
        .ok();
    assert_eq!(deploy.wait().expect("it was started").code(), Some(130));
    world.skep(&["history"]).ok().says("interrupted");
}

#[test]
fn a_field_that_cannot_be_changed_in_place_is_found_in_the_plan_and_recreate_is_the_way_through() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.edit(
        "k8s/shop.yaml",
        "matchLabels: { app: shop }",
        "matchLabels: { app: shop, tier: front }",
    );
    world.project.edit("k8s/shop.yaml", "labels: { app: shop }", "labels: { app: shop, tier: front }");
    let refused = world.skep(&["deploy"]).code(14).says("k8s/shop.yaml:1").says("Deployment/shop");
    refused.says("immutable").says("`--recreate Deployment/shop`");
    world.skep(&["plan", "--recreate", "Deployment/shop"]).code(2).says("makes anew").says("Deployment/shop");
    let before = world.object("deployment", "shop")["metadata"]["uid"].clone();
    world.skep(&["deploy", "--recreate", "Deployment/shop"]).ok().says("1 to make anew");
    assert_ne!(world.object("deployment", "shop")["metadata"]["uid"], before);
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    world.skep(&["deploy"]).ok().says("nothing was changed");
}
