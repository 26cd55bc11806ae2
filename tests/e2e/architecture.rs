//! The house rules that no lint holds: which room may know which, and what is banned.

use std::{collections::BTreeSet, fs, path::Path};

use cargo_metadata::{Metadata, MetadataCommand};

/// The rooms from top to bottom; a room may use those below it only.
const ROOMS: &[&str] = &[
    "skep",
    "skep-deploy",
    "skep-project",
    "skep-manifest",
    "skep-rollout",
    "skep-cluster",
    "skep-image",
    "skep-migrate",
    "skep-hive",
    "skep-registry",
    "skep-node",
    "skep-apiserver",
    "skep-proxy",
    "skep-registryd",
    "skep-storage",
    "skep-model",
    "skep-ambient",
    "skep-process",
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).exec().expect("cargo metadata")
}

fn uses(metadata: &Metadata, name: &str) -> Vec<String> {
    let package = metadata.packages.iter().find(|package| package.name.as_str() == name).expect(name);
    let normal =
        |dependency: &&cargo_metadata::Dependency| dependency.kind == cargo_metadata::DependencyKind::Normal;
    package.dependencies.iter().filter(normal).map(|dependency| dependency.name.clone()).collect()
}

#[test]
fn arrows_point_down() {
    let metadata = metadata();
    for (level, room) in ROOMS.iter().enumerate() {
        for used in uses(&metadata, room) {
            if let Some(below) = ROOMS.iter().position(|other| *other == used) {
                assert!(below > level, "{room} may not use {used}");
            }
        }
    }
}

#[test]
fn pure_rooms_know_the_model_alone() {
    let metadata = metadata();
    for room in ["skep-project", "skep-manifest", "skep-rollout"] {
        for used in uses(&metadata, room) {
            let impure = used.starts_with("skep-") && used != "skep-model"
                || ["tokio", "kube", "reqwest"].contains(&used.as_str());
            assert!(!impure, "{room} is pure and may not use {used}");
        }
    }
}

#[test]
fn kube_is_known_to_one_room_and_hive_never_sees_it() {
    let metadata = metadata();
    let users: Vec<&&str> =
        ROOMS.iter().filter(|room| uses(&metadata, room).iter().any(|used| used == "kube")).collect();
    assert_eq!(users, [&"skep-cluster"]);
}

#[test]
fn promise_6_one_code_path_the_deploy_side_never_sees_hive() {
    let metadata = metadata();
    let hive = ["skep-hive", "skep-apiserver", "skep-node", "skep-proxy", "skep-registryd"];
    let deploy = [
        "skep-deploy",
        "skep-cluster",
        "skep-project",
        "skep-manifest",
        "skep-rollout",
        "skep-image",
        "skep-registry",
    ];
    for room in deploy {
        let seen: Vec<String> =
            uses(&metadata, room).into_iter().filter(|used| hive.contains(&used.as_str())).collect();
        assert_eq!(seen, Vec::<String>::new(), "{room} reaches clusters through Kubernetes' API only");
    }
    for room in hive {
        let uses = uses(&metadata, room);
        assert!(
            !uses.iter().any(|used| used == "kube" || used == "skep-deploy" || used == "skep-project"),
            "{room}: {uses:?}"
        );
    }
}

#[test]
fn no_room_is_a_junk_drawer() {
    for package in metadata().workspace_packages() {
        let name = package.name.as_str();
        assert!(!["common", "util", "utils", "helpers"].iter().any(|word| name.ends_with(word)), "{name}");
    }
}

#[test]
fn banned_crates_are_not_in_the_lock_file() {
    let read = |name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        fs::read_to_string(path).expect("a file of this repository")
    };
    let (lock, deny) = (read("Cargo.lock"), read("deny.toml"));
    let banned: Vec<&str> =
        deny.split("{ name = \"").skip(1).filter_map(|entry| entry.split('"').next()).collect();
    assert!(banned.contains(&"openssl-sys") && banned.contains(&"serde_yaml"), "{banned:?}");
    for banned in banned {
        assert!(!lock.contains(&format!("name = \"{banned}\"\n")), "{banned} is banned, see deny.toml");
    }
}

#[test]
fn unsafe_code_is_in_the_node_alone_and_says_why() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = BTreeSet::new();
    for dir in ["crates", "examples", "tests/src"] {
        rust_files(&root.join(dir), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let blocks =
            text.lines().filter(|line| line.contains("unsafe {") || line.contains("unsafe fn ")).count();
        let reasons = text.matches("SAFETY:").count() + text.matches("# Safety").count();
        if blocks > 0 {
            assert!(
                file.to_string_lossy().contains("crates/skep-node/"),
                "{} has unsafe code",
                file.display()
            );
            assert!(reasons > 0, "{} has unsafe code and no SAFETY comment", file.display());
        }
    }
}

fn rust_files(dir: &Path, found: &mut BTreeSet<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path);
        }
    }
}

/// What Skep has to log in with is not for the programs that it starts: one room makes them, and takes it out of their environment.
#[test]
fn programs_are_started_by_one_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut files = BTreeSet::new();
    for room in fs::read_dir(&root).expect("the rooms").flatten() {
        rust_files(&room.path().join("src"), &mut files);
    }
    assert!(files.len() > 300, "the rooms were moved: {}", files.len());
    for file in files.iter().filter(|file| !file.starts_with(root.join("skep-process"))) {
        let text = fs::read_to_string(file).expect("a source file");
        for asked in ["Command::new(", "posix_spawn", "execvp("] {
            assert!(!text.contains(asked), "{} starts a program by itself: see skep-process", file.display());
        }
    }
}

/// A simulation decides what time it is and what chance brings: whoever acts over time asks `skep-ambient`.
#[test]
fn time_and_chance_come_from_one_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let asked = [
        "Timestamp::now()",
        "SystemTime::now()",
        "time::{Duration, Instant}",
        "std::time::Instant",
        "rand::",
        "Uuid::new_v4",
    ];
    let mut files = BTreeSet::new();
    for room in [
        "skep-deploy/src",
        "skep-cluster/src",
        "skep-apiserver/src",
        "skep-hive/src/controllers",
        "skep-hive/src/reconcile",
    ] {
        rust_files(&root.join(room), &mut files);
    }
    assert!(files.len() > 100, "the rooms were moved: {}", files.len());
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).expect("a source file");
        for asked in asked {
            assert!(!text.contains(asked), "{} asks {asked}, and no simulation can answer", file.display());
        }
    }
}

/// The storage chapter says that each of these cases is a test, named for its number.
#[test]
fn each_case_of_the_storage_chapter_is_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = BTreeSet::new();
    for dir in ["crates/skep-storage", "examples/honeydue/crates", "tests/e2e"] {
        rust_files(&root.join(dir), &mut files);
    }
    let mut cases = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for name in text.split("fn case_").skip(1) {
            let numbers = name.split('_').take_while(|word| *word == "and" || word.parse::<u8>().is_ok());
            cases.extend(numbers.filter_map(|word| word.parse::<u8>().ok()));
        }
    }
    let missing: Vec<u8> = (1..=57).filter(|case| !cases.contains(case)).collect();
    assert!(missing.is_empty(), "no test is named for these: {missing:?}");
}
