//! Kubeconfigs of others: no program of theirs is run, and nothing that they hold is shown.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    process::Command,
};

use skep_tests::{Outcome, World};

/// A target `far` whose kubeconfig is far.yaml.
fn world() -> World {
    let world = World::without_hive();
    let target = "registry: 127.0.0.1:1/shop\ntargets: { far: { kubeconfig: far.yaml, context: far } }\n";
    world.project.append("skep.yaml", target);
    world
}

fn kubeconfig(user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- {{ name: far, cluster: {{ server: 'https://127.0.0.1:1' }} }}\ncontexts:\n- {{ name: far, context: {{ cluster: far, user: me }} }}\nusers:\n- name: me\n  user:\n{user}"
    )
}

fn git(world: &World, arguments: &[&str]) {
    Outcome::of(Command::new("git").arg("-C").arg(world.project.dir()).args(arguments)).ok();
}

#[test]
fn foreign_kubeconfig_runs_no_exec_plugin() {
    let world = world();
    let plugin = world.project.dir().join("plugin");
    let ran = world.project.dir().join("ran");
    fs::write(&plugin, format!("#!/bin/sh\ntouch {}\nexit 1\n", ran.display())).expect("written");
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).expect("its mode");
    let exec = "    exec: { apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Never }\n";
    world.project.write("far.yaml", &kubeconfig(exec));
    let file = world.project.dir().join("far.yaml");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
    mode(0o600);
    git(&world, &["init", "-q"]);
    git(&world, &["add", "-f", "far.yaml"]);
    for command in ["check", "status", "deploy", "plan"] {
        let refused = world.skep(&[command, "-t", "far"]);
        assert_ne!(refused.code, Some(0), "{refused}");
        refused
            .says("refused to run its exec plugin")
            .says("git tracks the file")
            .says("hint: read what it runs");
    }
    // A link in the repository leads to the same file.
    git(&world, &["mv", "far.yaml", "real.yaml"]);
    std::os::unix::fs::symlink("real.yaml", &file).expect("a link");
    world.skep(&["status", "-t", "far"]).says("git tracks the file");
    fs::remove_file(&file).expect("removed");
    git(&world, &["mv", "real.yaml", "far.yaml"]);
    git(&world, &["rm", "-q", "--cached", "far.yaml"]);
    mode(0o666);
    world.skep(&["status", "-t", "far"]).says("other users can write it (mode 0666)").says("chmod go-w");
    mode(0o600);
    if nix_is_root() {
        chown(&file, Some(12345), None).expect("root may");
        world.skep(&["status", "-t", "far"]).says("belongs to another user (uid 12345)");
        chown(&file, Some(0), None).expect("root may");
    }
    assert!(!ran.exists(), "nothing was run");
    world.skep(&["status", "-t", "far"]).says("plugin` failed with exit status: 1");
    assert!(ran.exists(), "one's own file is trusted");
}

fn nix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn malformed_secret_is_shown_in_no_output() {
    let world = world();
    let token = "hunter2-0123456789abcdef";
    for user in [
        format!("    token: {token}\n     username: x\n"),
        format!("    token: \"{token}\n"),
        format!("    token: [{token}]\n"),
        format!("    token: {token}: x\n"),
        format!("    client-certificate-data: {token}\n    client-key-data: {token}\n"),
    ] {
        world.project.write("far.yaml", &kubeconfig(&user));
        for arguments in [&["status", "-t", "far"][..], &["plan", "-t", "far", "--output", "json"]] {
            let refused =
                world.skep(arguments).never_says("hunter2").says("far.yaml is not a usable kubeconfig");
            assert_ne!(refused.code, Some(0), "{refused}");
        }
    }
    world.project.append("skep.yaml", "secrets: { s: { A: hunter2, B: [hunter2] } }\n");
    for arguments in [&["check"][..], &["plan", "--output", "json"], &["deploy", "-t", "far"]] {
        world.skep(arguments).code(10).never_says("hunter2").says("secrets/s").says("unknown key `A`");
    }
    world.project.edit("skep.yaml", "secrets: { s: { A: hunter2, B: [hunter2] } }\n", "");
    world.project.write(
        "k8s/number.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: { name: x }\nspec: { containers: [{ name: x, env: [{ name: PIN, value: 84917263 }] }] }\n",
    );
    world.skep(&["check"]).never_says("84917263").says("should be a string, but is a number");
}
