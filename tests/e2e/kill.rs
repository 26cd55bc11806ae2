//! Killing Skep or hive at any instant is safe.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use skep_tests::{PATIENCE, World, eventually};

/// Kills Skep with SIGKILL when it says that it begins `step`, then deploys again and expects the same good end.
fn killed_at(step: &str) {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    let mut command = world.command(&["deploy", "--output", "json"]);
    let mut deploy = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("skep starts");
    let lines = BufReader::new(deploy.stdout.take().expect("piped")).lines();
    let begins = format!("\"step\":\"{step}\"");
    let seen =
        lines.map_while(Result::ok).any(|line| line.contains("step-started") && line.contains(&begins));
    World::kill_9(deploy.id());
    deploy.wait().expect("it was started");
    assert!(seen, "the deploy never began {step}");

    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("good evening from two\n"));
    let history = world.skep(&["history", "--output", "json"]).ok().json();
    assert_eq!(history[0]["status"], "deployed");
    assert!(history.iter().all(|release| release["status"] != "pending"), "{history:?}");
    world.skep(&["deploy"]).ok().says("nothing was changed");
}

#[test]
fn promise_5_killing_skep_in_push_is_safe() {
    killed_at("push");
}

#[test]
fn promise_5_killing_skep_in_apply_is_safe() {
    killed_at("apply");
}

#[test]
fn promise_5_killing_skep_in_roll_is_safe() {
    killed_at("roll");
}

#[test]
fn hive_killed_knows_what_it_knew_and_brings_the_pods_back() {
    let Some(world) = World::on_hive("it kills hive") else { return };
    world.skep(&["deploy"]).ok();
    let names = || -> Vec<String> {
        world.objects("pods").iter().map(|pod| pod["metadata"]["name"].to_string()).collect()
    };
    let (before, version) = (names(), world.object("deployment", "shop")["metadata"]["uid"].clone());
    World::kill_9(world.hive_pid());
    assert!(world.get("/").is_err(), "pods die with their hive");

    world.skep(&["hive", "start"]).ok();
    eventually("the shop to answer again", PATIENCE, || world.get("/").ok());
    assert_eq!(world.object("deployment", "shop")["metadata"]["uid"], version);
    assert_eq!(names(), before, "pods are brought back in place");
    world.skep(&["history"]).ok().says("v1");
    eventually("all pods to be ready", PATIENCE, || {
        world.skep(&["status"]).ok().stdout.contains("2/2 ready").then_some(())
    });
    world.skep(&["deploy"]).ok().says("nothing was changed");
}

#[test]
fn ctrl_c_stops_cleanly_and_says_where_things_stand() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "never-ready\n");
    let mut command = world.command(&["deploy"]);
    let deploy = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("skep starts");
    eventually("the roll to begin", Duration::from_secs(30), || {
        (world.object("deployment", "shop")["metadata"]["generation"] == 2).then_some(())
    });
    let pid = deploy.id().to_string();
    skep_tests::Outcome::of(std::process::Command::new("kill").args(["-INT", &pid])).ok();
    let stopped: skep_tests::Outcome = deploy.wait_with_output().expect("it was started").into();
    stopped.code(130).says("stopped by the user").says("`skep deploy` goes on").says("v2");
    world.skep(&["history"]).ok().says("interrupted");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}
