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

/// A polite signal at each step that a deploy has: it ends, leaves no lock and no open record, and the next deploy goes on from there.
#[test]
fn promise_5_a_signal_at_any_step_stops_cleanly_and_the_next_deploy_goes_on() {
    let world = World::new();
    if world.is_hive() {
        world.project.append("skep.yaml", "verify: [http://shop.localhost:8080/]\n");
    }
    world.project.edit(
        "skep.yaml",
        "\nconfig:",
        "\nmigrate: { manifest: migrate/job.yaml, timeout: 30s }\nconfig:",
    );
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: shop-migrate }\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{ name: migrate, image: shop, args: [migrate, \"300\", \"0\"] }]\n";
    world.project.write("migrate/job.yaml", job);
    let deploy = |signal: Option<(&str, &str)>| -> (Option<i32>, Vec<String>) {
        let mut command = world.command(&["deploy", "--output", "json"]);
        let mut deploy = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("skep starts");
        let pid = deploy.id().to_string();
        let mut steps = Vec::new();
        for line in BufReader::new(deploy.stdout.take().expect("piped")).lines().map_while(Result::ok) {
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let Some(step) = line["step"].as_str().filter(|_| line["type"] == "step-started") else {
                continue;
            };
            steps.push(step.to_owned());
            if let Some((signal, _)) = signal.filter(|(_, at)| *at == step) {
                drop(skep_tests::Outcome::of(std::process::Command::new("kill").args([signal, &pid])));
            }
        }
        (deploy.wait().expect("it was started").code(), steps)
    };
    let (code, steps) = deploy(None);
    assert!(code == Some(0) && steps.len() > 8, "{steps:?}");
    for (number, step) in steps.iter().enumerate() {
        let signal = ["-INT", "-TERM", "-HUP"][number % 3];
        world.project.write("release", &format!("{number}\n"));
        world.project.write("shop.env", &format!("GREETING=hello {number}\n"));
        let (code, _) = deploy(Some((signal, step)));
        // The last steps may be over before the signal arrives.
        assert!(code == Some(130) || code == Some(0), "{signal} in {step}: {code:?}");
        let history = world.skep(&["history", "--output", "json"]).ok().json();
        assert!(
            history.iter().all(|release| release["status"] != "pending"),
            "{signal} in {step}: {history:?}"
        );
        world.skep(&["unlock", "--reason", "a test"]).ok().says("is not locked");
        assert!(world.get("/").is_ok(), "{signal} in {step}: nothing serves");
        world.skep(&["deploy"]).ok();
        let page = format!("hello {number} from {number}\n");
        assert_eq!(world.get("/"), Ok(page), "{signal} in {step}");
    }
}
