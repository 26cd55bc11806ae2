//! Looking at what runs: logs, Events.

use std::{fs, fs::File, process::Child};

use skep_tests::{Outcome, PATIENCE, World, eventually};

/// A command that goes on, its output in a file.
fn follow(world: &World, arguments: &[&str]) -> (Child, std::path::PathBuf) {
    let path = world.project.dir().join("followed");
    let file = File::create(&path).expect("it can be made");
    (world.command(arguments).stdout(file).spawn().expect("Skep can be started"), path)
}

fn said(path: &std::path::Path, text: &str) {
    let read = || fs::read_to_string(path).unwrap_or_default();
    eventually(text, PATIENCE, || read().contains(text).then_some(()));
}

#[test]
fn logs_follow_all_services_through_a_rollout() {
    let world = World::new();
    world.project.add_services(&["admin"]);
    world.skep(&["deploy"]).ok();
    let (mut logs, path) = follow(&world, &["logs", "-f", "--tail", "1"]);
    said(&path, "release one listens on");
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    said(&path, "finished what was under way, goodbye");
    said(&path, "release two listens on");
    World::kill_9(logs.id());
    logs.wait().expect("it was started");
    let text = fs::read_to_string(&path).expect("it is text");
    let told = |line: &&str| line.contains("release two listens on");
    let who = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let mut pods: Vec<String> = text.lines().filter(told).map(who).collect();
    pods.sort();
    assert_eq!(pods.len(), 3, "each pod tells once: two of shop, one of admin\n{text}");
    pods.dedup();
    assert_eq!(pods.len(), 3, "{text}");

    let one = world.skep(&["logs", "admin"]).ok();
    assert!(one.stdout.lines().all(|line| line.starts_with("admin-")), "{one}");
    // Old pods may still be ending.
    let both = world.skep(&["logs", "shop", "admin", "--tail", "1", "--since", "1h"]).ok();
    assert_eq!(both.stdout.lines().filter(told).count(), 3, "{both}");
    world.skep(&["logs", "--since", "soon"]).code(64).says("a number should come before the unit");
    world.skep(&["logs", "shop", "nope"]).code(10).says("it has admin, shop");
}

#[test]
fn logs_of_the_container_before_are_there_when_the_one_that_runs_has_said_nothing_yet() {
    let world = World::new();
    world.project.write("release", "crash the cache is missing\n");
    world.skep(&["deploy"]).code(19);
    world.skep(&["logs", "shop", "--previous"]).ok().says("panic: the cache is missing");
    let error = world.skep(&["diagnose"]).code(2);
    error.says("panic: the cache is missing");
}

#[test]
fn events_are_of_one_service_alone_and_go_on_as_they_come() {
    let world = World::new();
    world.project.add_services(&["shop-admin"]);
    world.skep(&["deploy"]).ok();
    let all = world.skep(&["events"]).ok().says("Pod/shop-admin-").says("Deployment/shop ");
    assert!(all.stdout.contains("ScalingReplicaSet: Scaled up replica set"), "{all}");
    let times: Vec<&str> = all.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(times.is_sorted(), "{all}");
    let one = world.skep(&["events", "shop"]).ok().says("Pod/shop-");
    assert!(!one.stdout.contains("shop-admin"), "{one}");

    let (mut events, path) = follow(&world, &["events", "shop-admin", "--watch", "--output", "json"]);
    said(&path, r#""reason":"Started""#);
    world.project.write("release", "crash\n");
    world.skep(&["deploy", "shop-admin", "--no-restore"]).code(19);
    said(&path, r#""reason":"BackOff""#);
    World::kill_9(events.id());
    events.wait().expect("it was started");
}

#[test]
fn a_runner_of_github_or_gitea_gets_groups_an_annotation_and_a_page() {
    let world = World::new();
    let page = world.project.dir().join("summary.md");
    let deploy = || {
        let mut deploy = world.command(&["deploy"]);
        Outcome::of(deploy.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &page))
    };
    let shipped = deploy().ok().says("::group::roll\n").says("::endgroup::\nroll     ok     1 service ready");
    assert_eq!(shipped.stderr.matches("::group::").count(), shipped.stderr.matches("::endgroup::").count());
    let told = fs::read_to_string(&page).expect("the page is there");
    assert!(
        told.starts_with("### shop → local\n\n| step | | | took |\n|---|---|---|---|\n| load | ✅ |"),
        "{told}"
    );
    assert!(told.contains("**shop v1 is live on local ("), "{told}");

    world.project.write("release", "crash 100% of it\n");
    deploy()
        .code(30)
        .says("::error title=skep%3A roll failed::Deployment/shop will not become ready")
        .says("100%25 of it");
    let told = fs::read_to_string(&page).expect("the page is there");
    assert!(told.contains("| roll | ❌ | Deployment/shop will not become ready"), "{told}");
    assert!(told.contains("**state:** v1 runs again, as v3"), "{told}");
    assert!(told.contains("    panic: 100% of it\n"), "{told}");
}

#[test]
fn status_goes_on_and_shows_what_changes() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    let (mut status, path) = follow(&world, &["status", "--watch"]);
    said(&path, "2/2 ready");
    world.project.write("release", "slow 3\n");
    world.skep(&["deploy"]).ok();
    said(&path, "v2");
    said(&path, "its readiness probe");
    World::kill_9(status.id());
    status.wait().expect("it was started");
}

#[test]
fn describe_tells_all_of_one_service_on_one_page() {
    let world = World::new();
    world.project.add_services(&["shop-admin"]);
    world.skep(&["deploy"]).ok();
    let page = world.skep(&["describe", "shop"]).ok();
    let page = page
        .says("shop: well, 2 of 2 ready")
        .says("is         Deployment, written by skep v1, deploy")
        .says("runs       shop: 127.0.0.1:")
        .says("readiness /ready on port http")
        .says("requests none; limits none")
        .says("reads      ConfigMap/shop-config-")
        .says("reached by Service/shop port 80\n")
        .says("           http://shop.localhost")
        .says("0 restarts")
        .says("said ");
    assert!(!page.stdout.contains("shop-admin"), "{page}");
    world.project.write("release", "crash the cache is missing\n");
    world.skep(&["deploy", "shop", "--no-restore"]).code(19);
    let page = world.skep(&["describe", "shop"]).code(2).says("✗ shop: ").says("panic: the cache is missing");
    page.says("its last run ended with exit code 3 (Error) at ").says("waits for ");
    world.skep(&["describe", "nope"]).code(10).says("it has shop, shop-admin");
}
