//! One deploy at a time: a living holder is respected, a dead one is not waited for longer than its lease lives, and who has lost the
//! lock writes no more.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use skep_tests::{Outcome, World, eventually};

/// A lease as a Skep on another machine would hold it.
fn held_by_ana(world: &World) {
    let lease = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: { name: skep.shop }\nspec:\n  holderIdentity: \"ana@laptop#another-boot#1#1\"\n  leaseDurationSeconds: 15\n  acquireTime: \"2026-01-01T00:00:00.000000Z\"\n  renewTime: \"2026-01-01T00:00:00.000000Z\"\n";
    world.project.write("lease.yaml", lease);
    world.kubectl(&["create", "-f", "lease.yaml"]).ok();
}

fn renew(world: &World, second: u32) {
    let time = format!("2026-01-01T00:{:02}:{:02}.000000Z", second / 60, second % 60);
    let patch = format!(r#"{{"spec":{{"renewTime":"{time}"}}}}"#);
    world.kubectl(&["patch", "lease", "skep.shop", "--type=merge", "-p", &patch]).ok();
}

#[test]
fn a_silent_holder_is_dead_after_its_lease_whatever_its_clock_says() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    held_by_ana(&world);
    world.project.write("release", "two\n");
    let began = Instant::now();
    world.skep(&["deploy"]).ok();
    let took = began.elapsed();
    assert!((14..40).contains(&took.as_secs()), "a lease lives 15 s, and this took {took:?}");
}

#[test]
fn a_living_holder_is_named_and_left_alone() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    held_by_ana(&world);
    world.project.write("release", "two\n");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut second = 1;
            while !over.load(Ordering::Relaxed) && second < 60 {
                renew(&world, second);
                second += 1;
                thread::sleep(Duration::from_millis(500));
            }
        });
        let refused = world.skep(&["deploy"]);
        over.store(true, Ordering::Relaxed);
        refused.code(15).says("is being deployed by ana@laptop").says("hint:");
    });
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn a_stolen_lock_ends_the_deploy() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "never-ready\n");
    let deploy = world.command(&["deploy"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let deploy = deploy.expect("skep starts");
    eventually("the roll to begin", Duration::from_secs(30), || {
        (world.object("deployment", "shop")["metadata"]["generation"] == 2).then_some(())
    });
    let stolen = r#"{"spec":{"holderIdentity":"ana@laptop#another-boot#1#1"}}"#;
    world.kubectl(&["patch", "lease", "skep.shop", "--type=merge", "-p", stolen]).ok();
    let began = Instant::now();
    let ended: Outcome = deploy.wait_with_output().expect("it was started").into();
    assert!(began.elapsed() < Duration::from_secs(20), "it ends within seconds");
    ended.code(15).says("the deploy lock of shop was lost").says("ana@laptop");
    let lease = world.object("lease", "skep.shop");
    assert!(
        lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| holder.starts_with("ana")),
        "{lease}"
    );
}

/// A deploy that goes on until it is stopped, and that says what it does.
fn endless(world: &World) -> Child {
    world.project.write("release", "never-ready\n");
    let deploy = world.command(&["deploy"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let deploy = deploy.expect("skep starts");
    eventually("the roll to be told", Duration::from_secs(30), || {
        let lease = world.kubectl(&["get", "lease", "skep.shop", "-o", "json"]);
        let lease: Value = serde_json::from_str(&lease.stdout).ok()?;
        (lease["metadata"]["annotations"]["skep.dev/step"] == "roll").then_some(())
    });
    deploy
}

#[test]
fn a_lock_can_be_waited_for_and_freed_with_a_reason() {
    let world = World::new();
    world.skep(&["unlock", "--reason", "nothing"]).ok().says("is not locked");
    world.skep(&["deploy"]).ok();
    let first = endless(&world);
    world.project.write("release", "three\n");
    world.skep(&["deploy"]).code(15).says("and is at roll").says("--wait");

    let stopped = Command::new("timeout")
        .args(["--preserve-status", "--signal=INT", "--kill-after=20", "6"])
        .arg(world.command(&["deploy"]).get_program())
        .args(["deploy", "--wait"])
        .current_dir(world.project.dir())
        .envs(world.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))))
        .output();
    let stopped: Outcome = stopped.expect("timeout starts").into();
    stopped.code(130).says("lock: stopped by the user");

    let second = world.command(&["deploy", "--wait"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut second = second.expect("skep starts");
    let said = BufReader::new(second.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let mut said = said.skip_while(|line| !line.contains("waiting: shop is being deployed by"));
    assert!(said.next().is_some(), "who waits says for whom");
    world.skep(&["unlock"]).code(64).says("--reason");
    world.skep(&["unlock", "--reason", "its laptop fell into the lake"]).ok().says("shop is unlocked");
    let first: Outcome = first.wait_with_output().expect("it was started").into();
    first.code(15).says("unlocked it: its laptop fell into the lake");
    let rest: Vec<String> = said.collect();
    let second = second.wait().expect("it was started");
    assert!(second.success(), "the one that waited goes on\n{}", rest.join("\n"));
    assert_eq!(world.get("/").as_deref(), Ok("hello from three\n"));
}
