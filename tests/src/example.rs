//! An app of `examples/`, copied to a folder of the test's own, with a hive of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    Outcome, World,
    cluster::{self, Foreign},
};

/// A copy of an example and a hive to ship it to. Dropped, it stops the hive.
#[derive(Debug)]
pub struct Example {
    world: World,
    dir: PathBuf,
}

/// What a web server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status of the last answer, redirects followed.
    pub status: u16,
    /// Its body.
    pub body: String,
}

impl Example {
    /// Copies `parts` of `examples/<app>` to `<folder of this test>/checkout/examples/<app>`, so that paths up to the root of
    /// the checkout mean what they mean there. Hive is not started.
    ///
    /// # Panics
    /// When a part can't be copied.
    pub fn copied(app: &'static str, parts: &[&str]) -> Self {
        // The namespace has the app's name: what its manifests say, or what skep.yaml is silent about.
        let world = World::for_app(app, Foreign::with_fixed_namespace(app));
        let dir = world.path().join("checkout/examples").join(app);
        let example = checkout().join("examples").join(app);
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        for part in parts {
            copy(&example.join(part), &dir.join(part));
        }
        Self { world, dir }
    }

    /// Whether the cluster is sure to give an app a volume. Where it is not, that is noted.
    pub fn has_volumes() -> bool {
        if cluster::is_foreign() {
            cluster::not_run("it needs a StorageClass");
        }
        !cluster::is_foreign()
    }

    /// The copy.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root of the copy, which stands for a checkout's.
    pub fn root(&self) -> PathBuf {
        self.world.path().join("checkout")
    }

    /// The hive beside it.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Runs Skep in the copy, to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn skep(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.world.command(arguments).current_dir(&self.dir))
    }

    /// Runs kubectl in the copy and in the app's namespace.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn kubectl(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.world.kubectl_command().args(arguments).current_dir(&self.dir))
    }

    /// Reads an object through kubectl.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn object(&self, kind: &str, name: &str) -> Value {
        let outcome = self.kubectl(&["get", kind, name, "-o", "json"]).ok();
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
    }

    /// Asks a path of a host, with curl's own arguments for anything but a plain GET. Redirects are followed
    /// and cookies kept, as a browser does.
    ///
    /// # Errors
    /// When there is no answer.
    ///
    /// # Panics
    /// When curl can't be started.
    pub fn ask(&self, host: &str, path: &str, curl: &[&str]) -> Result<Answer, String> {
        let reach = self.world.reach(host)?;
        let (url, resolve) = reach.address(host, path);
        let cookies = self.world.path().join("cookies");
        let mut command = Command::new("curl");
        command.args(["-sSL", "--max-time", "20", "-w", "\n%{http_code}", "--resolve", &resolve]);
        command.arg("-b").arg(&cookies).arg("-c").arg(&cookies).args(curl).arg(&url);
        let outcome = Outcome::of(&mut command);
        match outcome.stdout.rsplit_once('\n') {
            Some((body, status)) if outcome.code == Some(0) => {
                Ok(Answer { status: status.parse().unwrap_or(0), body: body.to_owned() })
            }
            _ => Err(outcome.stderr),
        }
    }

    /// GETs a page, which must be there.
    ///
    /// # Panics
    /// When there is no answer, or not a good one.
    pub fn page(&self, host: &str, path: &str) -> String {
        let answer = self.ask(host, path, &[]).unwrap_or_else(|error| panic!("{host}{path}: {error}"));
        assert_eq!(answer.status, 200, "{host}{path}: {}", answer.body);
        answer.body
    }

    /// Writes a file of the copy, whole.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Replaces text in a file of the copy.
    ///
    /// # Panics
    /// When the file doesn't hold it: the test would test nothing.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(from), "{name} holds no `{from}`");
        self.write(name, &text.replace(from, to));
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// The checkout that this test was built from.
fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project")
}

/// A file, or a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    let shown = from.display();
    if from.is_dir() {
        fs::create_dir_all(to).unwrap_or_else(|error| panic!("{shown}: {error}"));
        for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{shown}: {error}")) {
            let name = entry.unwrap_or_else(|error| panic!("{shown}: {error}")).file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap_or_else(|error| panic!("{shown}: {error}"));
    }
}
