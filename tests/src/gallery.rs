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
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    Outcome, World,
    docker_registry::{ACCOUNT, DockerRegistry},
};

/// One broken deploy, or one that must not be taken for one.
#[derive(Debug)]
pub struct Case {
    /// The name of its folder.
    pub name: String,
    /// What it must come to.
    pub expected: Expected,
    folder: PathBuf,
}

/// A case that has been shipped.
pub struct Shipped {
    /// Where.
    pub world: World,
    /// What the deploy came to.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// Serves the private image until the end.
    _private: Option<DockerRegistry>,
}

impl std::fmt::Debug for Shipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shipped").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Case {
    /// All of them, or those whose name has `SKEP_TEST_GALLERY` in it.
    ///
    /// # Panics
    /// When there is none.
    pub fn all() -> Vec<Self> {
        let gallery = Path::new(env!("CARGO_MANIFEST_DIR")).join("gallery");
        let only = std::env::var("SKEP_TEST_GALLERY").unwrap_or_default();
        let folders =
            fs::read_dir(gallery).expect("the gallery").map(|entry| entry.expect("an entry").path());
        let case = |folder: PathBuf| Self {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            expected: Expected::read(&folder),
            folder,
        };
        let mut cases: Vec<Self> = folders.map(case).filter(|case| case.name.contains(&only)).collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(!cases.is_empty(), "there is no case {only}");
        cases
    }

    /// Ships it: a good release first, unless it is to be alone. `None` where the cluster can't have it.
    ///
    /// # Panics
    /// When the good release fails.
    pub fn ship(&self) -> Option<Shipped> {
        let world = match &self.expected.hive {
            Some(why) => World::on_hive(why)?,
            None => World::new(),
        };
        if !self.expected.alone {
            world.skep(&["deploy"]).ok();
        }
        let private = lay(&self.folder, &world);
        let begun = Instant::now();
        let mut command = world.command(&["deploy", "--output", "json"]);
        if private.is_some() {
            command.env("DOCKER_CONFIG", world.project.dir().join("docker"));
        }
        let outcome = Outcome::of(&mut command);
        Some(Shipped { world, outcome, took: begun.elapsed(), _private: private })
    }
}

impl Shipped {
    /// The rollout judged once more from its recording: the line that `skep replay` prints. `None` where none was kept.
    pub fn replayed(&self) -> Option<serde_json::Value> {
        let replayed = self.world.skep(&["replay", "--output", "json"]);
        replayed.json().into_iter().find(|line| line["type"] == "replay")
    }
}

/// What a case must come to.
#[derive(Debug, Default)]
pub struct Expected {
    /// The cause, in the word that `--output json` has.
    pub cause: Option<String>,
    /// The exit code.
    pub code: i32,
    /// Parts of what is told.
    pub says: Vec<String>,
    /// Parts of the hint.
    pub hints: Vec<String>,
    alone: bool,
    /// It is no broken deploy.
    pub well: bool,
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
