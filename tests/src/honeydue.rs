//! The reference app, as a test ships it: the example's own files around the programs that this build made.

use std::{fs, ops::Deref};

use serde_json::{Value, json};

use crate::{
    Answer, Example, PATIENCE,
    cluster::{self, Foreign},
    eventually, program,
};

/// honeyDue, copied, and a hive to ship it to.
///
/// The copy differs from the example in two things. Its build command does nothing, because the programs were built with the
/// tests and cargo would wait for whoever builds something else. And the api's image carries a label, the file `release`,
/// so that a new version of it is a file's edit away.
#[derive(Debug)]
pub struct HoneyDue {
    example: Example,
}

const PARTS: &[&str] = &["skep.yaml", "deploy-k3s", "migrations"];
const PROGRAMS: &[&str] =
    &["honeydue-api", "honeydue-worker", "honeydue-admin", "honeydue-web", "honeydue-bucket", "skep-migrate"];
const BUILD: &str = "&build cargo build --workspace --bins";
const LAID: &str = "            /migrations: examples/honeydue/migrations\n";
const LABEL: &str = "            /etc/honeydue-release: examples/honeydue/release\n";

impl HoneyDue {
    /// Release `one` of the api, with nothing deployed and hive not started.
    ///
    /// # Panics
    /// When the programs have not been built, or there is no room for a copy.
    pub fn new() -> Self {
        let example = Example::copied("honeydue", PARTS);
        let built = example.root().join("target/debug");
        fs::create_dir_all(&built).expect("the copy's folder can be written");
        for name in PROGRAMS {
            fs::copy(program(name), built.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        example.edit("skep.yaml", BUILD, "&build \"true\"");
        example.edit("skep.yaml", LAID, &format!("{LAID}{LABEL}"));
        example.write("release", "one\n");
        if let Some(foreign) = example.world().foreign() {
            ship_to(&example, foreign);
        }
        Self { example }
    }

    /// The same for a test that is about hive, or needs what only hive is sure to have. `None`, and noted, elsewhere.
    pub fn on_hive(why: &str) -> Option<Self> {
        if cluster::is_foreign() {
            cluster::not_run(why);
            return None;
        }
        Some(Self::new())
    }

    /// Starts hive, where that is the cluster.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start_hive(&self) {
        if self.world().is_hive() {
            self.skep(&["hive", "start"]).ok();
        }
    }

    /// Asks the api, as the phone app does.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn api(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let body = body.to_string();
        let mut curl = vec!["-X", method, "-H", "content-type: application/json"];
        let bearer = format!("authorization: Bearer {}", token.unwrap_or_default());
        if token.is_some() {
            curl.extend(["-H", &bearer]);
        }
        if method != "GET" {
            curl.extend(["-d", &body]);
        }
        self.ask("api.localhost", path, &curl).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// What the api's readiness says: its status, `None` while nothing answers, and the body.
    pub fn readiness(&self) -> (Option<u16>, String) {
        match self.ask("api.localhost", "/api/ready/", &[]) {
            Ok(answer) => (Some(answer.status), answer.body),
            Err(error) => (None, error),
        }
    }

    /// The front page, once its footer names this version of the api: connections of the page to pods that are leaving live on
    /// until those have left.
    ///
    /// # Panics
    /// When it doesn't within [`PATIENCE`].
    pub fn page_of_api(&self, version: &str) -> String {
        let footer = format!("<code id=\"api-version\">{version}</code>");
        eventually(&format!("the page to show api {version}"), PATIENCE, || {
            Some(self.page("web.localhost", "/")).filter(|page| page.contains(&footer))
        })
    }

    /// Opens an account with one residence named `home`; answers its token.
    ///
    /// # Panics
    /// When the api refuses.
    pub fn settle_in(&self, home: &str) -> String {
        let person = json!({ "email": "ada@example.com", "name": "Ada", "password": "a long password" });
        let signed_in = self.api("POST", "/api/auth/register/", None, &person).json();
        let token = signed_in["token"].as_str().unwrap_or_else(|| panic!("{signed_in}")).to_owned();
        let place = json!({ "name": home, "address": "1 Lake Road" });
        let made = self.api("POST", "/api/residences/", Some(&token), &place);
        assert_eq!(made.status, 201, "{made:?}");
        token
    }

    /// The residences of whoever the token is of, by name.
    ///
    /// # Panics
    /// When the api refuses.
    pub fn homes(&self, token: &str) -> Vec<String> {
        let answer = self.api("GET", "/api/residences/", Some(token), &Value::Null);
        assert_eq!(answer.status, 200, "{answer:?}");
        let names = answer.json();
        let names = names.as_array().expect("a list of residences").iter();
        names.map(|home| home["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A cluster that need not have an Ingress controller or a StorageClass: no URL is asked by Skep, and Postgres keeps its data
/// for as long as its pod lives.
fn ship_to(example: &Example, foreign: &Foreign) {
    let (kubeconfig, registry) = (foreign.kubeconfig().display(), foreign.registry());
    let place = format!("  local:\n    kubeconfig: {kubeconfig}\n    registry: {registry}\n");
    example.edit("skep.yaml", "  local:\n    registry:\n", &place);
    let urls = [
        "http://api.localhost:8080/api/ready/",
        "http://web.localhost:8080/",
        "http://admin.localhost:8080/",
    ];
    for url in urls {
        example.edit("skep.yaml", &format!("      - {url}\n"), "");
    }
    for keeper in ["postgres", "bucket"] {
        let file = format!("deploy-k3s/local/{keeper}/{keeper}.yaml");
        example.edit(
            &file,
            &format!("persistentVolumeClaim:\n            claimName: {keeper}"),
            "emptyDir: {}",
        );
        example.edit(&file, "kind: PersistentVolumeClaim", "kind: ConfigMap");
        example.edit(
            &file,
            "spec:\n  accessModes: [ReadWriteOnce]\n  resources:\n    requests:\n      storage: 1Gi\n",
            "",
        );
    }
}

impl Default for HoneyDue {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for HoneyDue {
    type Target = Example;

    fn deref(&self) -> &Example {
        &self.example
    }
}
