//! honeyDue, as a team ships it: beside how long the same took by the script that Skep is to replace, on its own machines and over the
//! Internet. The two are not the same job on the same ground; what is compared is how long somebody waits.

use std::{fs, path::Path, process::Command, time::Duration};

use skep_tests::{Outcome, World};

use super::timed;

pub(super) fn as_a_team_ships_it() {
    let world = World::without_hive();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let clone = world.path().join("clone");
    // What is committed, in a folder where nothing has been built.
    let source = format!("file://{}", root.canonicalize().expect("the workspace").display());
    let mut git = Command::new("git");
    Outcome::of(git.args(["clone", "--quiet", "--depth", "1", &source]).arg(&clone)).ok();
    let app = clone.join("examples/honeydue");
    let folder = app.display().to_string();
    let skep = |arguments: &[&str]| {
        let all: Vec<&str> = ["-C", &folder].iter().chain(arguments).copied().collect();
        world.skep(&all).ok()
    };
    let edit = |file: &str, from: &str, to: &str| {
        let path = clone.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(from), "{file} has no `{from}`");
        fs::write(path, text.replacen(from, to, 1)).expect("a file can be written");
    };

    let first = timed(|| drop(skep(&["up", "--quiet"])));
    told("every image from nothing, and all of it deployed for the first time", first, "7-10 min");
    let cached = timed(|| drop(skep(&["deploy", "--quiet"])));
    told("every image, unchanged", cached, "30-60 s");
    edit("examples/honeydue/crates/honeydue-api/Cargo.toml", "version = \"1.0.0\"", "version = \"1.0.1\"");
    let one = timed(|| drop(skep(&["deploy", "api", "--quiet"])));
    told("one service: its program changed, compiled, pushed, rolled and asked", one, "3-5 min");
    let back = timed(|| drop(skep(&["rollback", "--quiet"])));
    told("rollback of it", back, "30 s");
    let manifest = "examples/honeydue/deploy-k3s/manifests/api/deployment.yaml";
    edit(manifest, "terminationGracePeriodSeconds: 40", "terminationGracePeriodSeconds: 41");
    let skipped = timed(|| drop(skep(&["deploy", "--skip-build", "--quiet"])));
    told("--skip-build with a changed manifest, rolled and asked", skipped, "1-2 min");
}

fn told(what: &str, took: Duration, script: &str) {
    println!(
        "{:<78} {:>8.1} s {:>21}",
        format!("honeyDue: {what}"),
        took.as_secs_f64(),
        format!("script: {script}")
    );
}
