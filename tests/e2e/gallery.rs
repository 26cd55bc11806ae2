//! The gallery of broken deploys: each folder of `tests/gallery` is one, shipped for real. The diagnosis names the true cause and no
//! other.
//!
//! A folder holds files that are laid over the shop's (`release`, `k8s/…`), manifests in `broken/` that are merged over its own, lines
//! that are added to its skep.yaml (`more.yaml`), and `expect`: what the deploy must come to, a line each:
//!
//! - `cause WORD`: the cause, in the word that `--output json` has;
//! - `code N`: the exit code; 30 if not said, 19 with `alone`;
//! - `says TEXT`, `hint TEXT`: parts of what is told;
//! - `alone`: no good release goes before;
//! - `hive WHY`: what it needs that only hive is sure to have;
//! - `well`: it is no broken deploy, but one that must not be taken for one.
//!
//! `prepare.sh` runs before, with kubectl for the namespace. `REGISTRY`, `PRIVATE`, `SHOP` and `DIGEST` stand for the registry of the cluster, one that wants a login, the
//! shop's image and its digest; `LOGIN` for who may read there.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::Instant,
};

use serde_json::Value;
use skep_tests::{Outcome, World};

use crate::docker_registry::{ACCOUNT, DockerRegistry};

/// How many run at once: most of the time they wait for a crash to come again.
const AT_ONCE: usize = 6;

/// What a case must come to.
#[derive(Debug, Default)]
struct Expected {
    cause: Option<String>,
    code: i32,
    says: Vec<String>,
    hints: Vec<String>,
    alone: bool,
    well: bool,
    hive: Option<String>,
}

impl Expected {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("expect")).expect("every case says what it must come to");
        let mut expected = Self { code: 30, ..Self::default() };
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.to_owned();
            match word {
                "cause" => expected.cause = Some(rest),
                "code" => expected.code = rest.parse().expect("a number"),
                "says" => expected.says.push(rest),
                "hint" => expected.hints.push(rest),
                "alone" => (expected.alone, expected.code) = (true, 19),
                "well" => (expected.well, expected.code) = (true, 0),
                "hive" => expected.hive = Some(rest),
                _ => panic!("{}: `{line}` says nothing", folder.display()),
            }
        }
        expected
    }
}

#[test]
fn every_broken_deploy_is_told_by_its_true_cause_and_no_sound_one_is() {
    let gallery = Path::new(env!("CARGO_MANIFEST_DIR")).join("gallery");
    let only = std::env::var("SKEP_TEST_GALLERY").unwrap_or_default();
    let mut cases: Vec<PathBuf> = fs::read_dir(gallery)
        .expect("the gallery")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(&only)))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "there is no case {only}");
    let (queue, wrong) = (Mutex::new(VecDeque::from(cases)), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            // Named, so that a case that is not run says which test it is of.
            let thread = thread::Builder::new().name("gallery".to_owned());
            let spawned = thread.spawn_scoped(scope, || {
                while let Some(case) = next(&queue) {
                    if let Err(why) = run(&case) {
                        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
                        wrong.lock().expect("unpoisoned").push(format!("=== {name}: {why}"));
                    }
                }
            });
            spawned.expect("a thread can be made");
        }
    });
    let wrong = wrong.into_inner().expect("unpoisoned");
    assert!(wrong.is_empty(), "{} cases are told wrongly\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_docs_name_each_cause_of_the_gallery() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(root.join("../docs/deployment/06-when-it-fails.md")).expect("the chapter");
    let cases = fs::read_dir(root.join("gallery")).expect("the gallery");
    let causes = cases.filter_map(|case| Expected::read(&case.expect("an entry").path()).cause);
    let missing: Vec<String> = causes.filter(|cause| !docs.contains(&format!("| `{cause}` |"))).collect();
    assert!(missing.is_empty(), "docs/deployment/06-when-it-fails.md lacks {missing:?}");
}

fn next(queue: &Mutex<VecDeque<PathBuf>>) -> Option<PathBuf> {
    queue.lock().expect("unpoisoned").pop_front()
}

fn run(case: &Path) -> Result<(), String> {
    let expected = Expected::read(case);
    let world = match &expected.hive {
        Some(why) => match World::on_hive(why) {
            Some(world) => world,
            None => return Ok(()),
        },
        None => World::new(),
    };
    let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !expected.alone {
        world.skep(&["deploy"]).ok();
    }
    let private = lay(case, &world);
    let begun = Instant::now();
    let mut command = world.command(&["deploy", "--output", "json"]);
    if private.is_some() {
        command.env("DOCKER_CONFIG", world.project.dir().join("docker"));
    }
    let outcome = Outcome::of(&mut command);
    told(&name, begun, &outcome);
    compare(&expected, &outcome)
}

/// The files of a case, over those of the shop.
fn lay(case: &Path, world: &World) -> Option<DockerRegistry> {
    let mut texts = Vec::new();
    collect(case, case, &mut texts);
    let private = texts.iter().any(|(_, text)| text.contains("PRIVATE")).then(DockerRegistry::guarded);
    let address = private.as_ref().map(|private| private.address.clone()).unwrap_or_default();
    let login = {
        // What `docker login` keeps: `ali:open sesame`.
        assert_eq!(ACCOUNT, ("ali", "open sesame"));
        "YWxpOm9wZW4gc2VzYW1l"
    };
    let registry = world.registry();
    let shop = if texts.iter().any(|(_, text)| text.contains("SHOP") || text.contains("DIGEST")) {
        shop_image(world)
    } else {
        String::new()
    };
    let mut manifests = "k8s".to_owned();
    for (path, text) in texts {
        let text = text
            .replace("REGISTRY", &registry)
            .replace("PRIVATE", &address)
            .replace("SHOP", &shop)
            .replace("DIGEST", shop.split('@').nth(1).unwrap_or_default())
            .replace("LOGIN", login);
        match path.as_str() {
            "expect" => {}
            "more.yaml" => world.project.append("skep.yaml", &text),
            "prepare.sh" => {
                world.shell(&text);
            }
            _ => {
                if path.starts_with("broken/") {
                    manifests = "[k8s, broken]".to_owned();
                }
                world.project.write(&path, &text);
            }
        }
    }
    world.project.edit("skep.yaml", "manifests: k8s", &format!("manifests: {manifests}"));
    private
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else {
            let name = path.strip_prefix(root).expect("below it").to_string_lossy().into_owned();
            texts.push((name, fs::read_to_string(&path).expect("text")));
        }
    }
    texts.sort();
}

fn shop_image(world: &World) -> String {
    let containers = world.object("deployment", "shop")["spec"]["template"]["spec"]["containers"].clone();
    containers[0]["image"].as_str().expect("pinned").to_owned()
}

fn compare(expected: &Expected, outcome: &Outcome) -> Result<(), String> {
    let lines = outcome.json();
    let error = lines.iter().find(|line| line["type"] == "error").cloned().unwrap_or_default();
    let failed = |why: String| Err(format!("{why}\n{error:#}\nexit code {:?}", outcome.code));
    if outcome.code != Some(expected.code) {
        return failed(format!("expected exit code {}", expected.code));
    }
    let causes: Vec<&Value> =
        error["causes"].as_array().into_iter().flatten().map(|one| &one["cause"]).collect();
    if let Some(cause) = &expected.cause
        && (causes.is_empty() || causes.iter().any(|found| *found != cause.as_str()))
    {
        return failed(format!("expected the cause {cause} alone, found {causes:?}"));
    }
    let message = error["message"].as_str().unwrap_or_default();
    if let Some(text) = expected.says.iter().find(|text| !message.contains(*text)) {
        return failed(format!("expected `{text}` in the message"));
    }
    let hint = error["hint"].as_str().unwrap_or_default();
    if let Some(text) = expected.hints.iter().find(|text| !hint.contains(*text)) {
        return failed(format!("expected `{text}` in the hint"));
    }
    if !expected.well && (hint.is_empty() || expected.says.is_empty() || expected.cause.is_none()) {
        return failed("a broken deploy has a cause, words and a hint".to_owned());
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the figures are for whoever reads the test's output")]
fn told(name: &str, begun: Instant, outcome: &Outcome) {
    eprintln!("{name}: {:.1} s, exit code {:?}", begun.elapsed().as_secs_f64(), outcome.code);
}
