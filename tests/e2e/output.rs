//! What Skep shows and keeps of other programs' text: no value of a Secret, in whatever form; and nothing where that can't be known.

use std::{fs, process::Command};

use skep_tests::{Outcome, PATIENCE, World, eventually};

use crate::faults::faulty;

const SECRET: &str = "hunter2 of the shop";

/// The shop with a secret `TOKEN`, and a shell in its image.
fn shop() -> World {
    let world = World::new();
    world.project.add_secret(&format!("TOKEN=\"{SECRET}\"\n"));
    world.project.edit("skep.yaml", "/release: release }", "/release: release, /busybox: /bin/busybox }");
    world
}

#[test]
fn logs_redact_values_of_secrets_old_and_new() {
    let world = shop();
    world.project.write("release", &format!("one {SECRET}\n"));
    world.skep(&["deploy"]).ok();
    for arguments in [&["logs"][..], &["logs", "shop", "--output", "json"]] {
        world.skep(arguments).ok().says("release one *** listens").never_says("hunter2");
    }

    // A Secret that nobody knew of when the logs were opened.
    let output = fs::File::create(world.path().join("output")).expect("a file can be made");
    let mut follow = world.command(&["logs", "shop", "-f"]);
    let mut follow = follow.stdout(output).spawn().expect("skep starts");
    let said = || fs::read_to_string(world.path().join("output")).unwrap_or_default();
    eventually("the first line", PATIENCE, || said().contains("release one").then_some(()));
    world.kubectl(&["create", "secret", "generic", "late", "--from-literal", "KEY=late-value"]).ok();
    world.project.write("release", "two late-value\n");
    world.skep(&["deploy"]).ok();
    eventually("the new pods' lines", PATIENCE, || said().contains("release two").then_some(()));
    Outcome::of(Command::new("kill").args(["-INT", &follow.id().to_string()])).ok();
    follow.wait().expect("it ends");
    assert!(said().contains("release two *** listens"), "{}", said());
    assert!(!said().contains("late-value") && !said().contains("hunter2"), "{}", said());
}

#[test]
fn run_output_redacts_secrets_in_every_form() {
    let world = shop();
    world.skep(&["deploy"]).ok();
    let script = "echo \"plain $TOKEN\"; printf 'base64 %s\\n' \"$(printf 'ann:%s' \"$TOKEN\" | /busybox base64)\"; echo 'url hunter2%20of%20the%20shop'; printf 'not \\377 text\\n'; echo end";
    let ran = world.skep(&["run", "shop", "--", "/busybox", "sh", "-c", script]).ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        (lines[0], lines[2], lines[3], lines[4]),
        ("plain ***", "url ***", "not \u{fffd} text", "end"),
        "{ran}"
    );
    assert!(lines[1].contains("***") && lines[1].len() < 20, "{ran}");
}

#[test]
fn failed_verify_run_redacts_its_last_line() {
    let world = shop();
    world.project.append(
        "skep.yaml",
        "verify: [{ run: shop, command: [/busybox, sh, -c, 'echo \"no login with $TOKEN\"; exit 3'], within: 2s }]\n",
    );
    let failed = world.skep(&["deploy", "--output", "json"]).code(20);
    failed.says("ended with 3: no login with ***").never_says("hunter2");
    let record = world.record(1);
    assert!(record.contains("no login with ***") && !record.contains("hunter2"), "{record}");
    world.skep(&["history"]).ok().says("no login with ***").never_says("hunter2");
}

#[test]
fn forbidden_secrets_withhold_text_of_pods() {
    let world = shop();
    let api = faulty(&world);
    world.project.write("release", &format!("one {SECRET}\n"));
    world.skep(&["deploy"]).ok();
    api.forbid("/secrets");
    let why = &format!("withheld: Secrets of namespace {} can't be read", world.namespace());
    let skep = |arguments: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().chain(&["-t", "faulty"]).copied().collect();
        world.skep(&arguments).never_says("hunter2")
    };
    for arguments in [&["logs", "shop"][..], &["logs", "shop", "-f"]] {
        skep(arguments)
            .code(10)
            .says("log of shop-")
            .says(why)
            .says("ann cannot list secrets")
            .says("hint: ")
            .says("kubectl logs");
    }
    world
        .skep(&["run", "-t", "faulty", "shop", "--", "/busybox", "env"])
        .never_says("hunter2")
        .code(18)
        .says("output of Job/shop-run-")
        .says(why);
    assert!(world.objects("jobs").is_empty(), "what can't be shown is not run");
    skep(&["events", "shop"]).ok().says(why);
    skep(&["describe", "shop"]).ok();
}

/// What a terminal gets of a command: it runs on one of its own, made by `script`.
fn on_a_terminal(world: &World, arguments: &[&str]) -> String {
    let plain = world.command(arguments);
    let words = std::iter::once(plain.get_program()).chain(plain.get_args());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("stty cols 200; {}", quoted.join(" ")), "/dev/null"])
        .current_dir(world.project.dir());
    script.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("CI").env_remove("GITHUB_ACTIONS");
    Outcome::of(&mut script).stdout
}

/// A title, a cleared screen, a filled clipboard, a color; the same by C1; a text that runs backwards.
const HOSTILE: &str =
    "\x1b]0;owned\x07\x1b[2J\x1b]52;c;b3duZWQ=\x07\x1b[31mred \u{9d}0;owned\u{9c}\u{202e}txt";
const SHOWN: &str = "^[]0;owned^G^[[2J^[]52;c;b3duZWQ=^G^[[31mred M-^]0;ownedM-^\\<U+202E>txt";

#[test]
fn escape_sequences_of_pods_are_shown_not_obeyed() {
    let world = shop();
    world.project.write("release", &format!("ok {HOSTILE}\n"));
    let obeyed = |text: &str| {
        ["\x1b]", "\x1b[2J", "\x1b[31mred", "\u{9d}", "\u{9c}", "\u{202e}"]
            .iter()
            .any(|one| text.contains(one))
    };
    world.skep(&["deploy"]).ok();
    let logs = on_a_terminal(&world, &["logs", "shop"]);
    assert!(logs.contains(SHOWN) && !obeyed(&logs), "{logs:?}");
    assert!(logs.contains("\x1b[2mshop-"), "Skep's own styles stay: {logs:?}");
    let json = on_a_terminal(&world, &["logs", "shop", "--output", "json"]);
    assert!(json.contains("\\u009d0;owned") && !obeyed(&json), "{json:?}");
    // A pipe gets what the program wrote.
    world.skep(&["logs", "shop"]).ok().says(HOSTILE);

    world.project.write("release", &format!("crash {HOSTILE}\n"));
    let deploy = on_a_terminal(&world, &["deploy"]);
    assert!(deploy.contains(SHOWN) && !obeyed(&deploy), "{deploy:?}");
    let plain = world.skep(&["deploy"]).code(30);
    assert!(plain.stderr.contains(SHOWN) && !obeyed(&plain.stderr), "{plain}");
    let show = on_a_terminal(&world, &["history"]);
    assert!(!obeyed(&show), "{show:?}");
}
