//! A hive of a test's own: its state directory, its port, and Skep run against it.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Outcome, Project, program};

/// A running hive and a project to ship to it. Dropped, it stops the hive.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    port: u16,
    /// What is shipped.
    pub project: Project,
}

impl World {
    /// A hive with the shop beside it, nothing deployed.
    ///
    /// # Panics
    /// When hive does not start.
    pub fn new() -> Self {
        let world = Self::without_hive();
        world.skep(&["hive", "start"]).ok();
        world
    }

    /// The same with hive not started.
    ///
    /// # Panics
    /// When there is no room for a temporary folder.
    pub fn without_hive() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let project = Project::shop(dir.path());
        Self { port: free_port(), project, dir }
    }

    /// A folder of this test's own.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where hive keeps its state.
    pub fn hive_dir(&self) -> PathBuf {
        self.dir.path().join("hive")
    }

    /// The port of hive's ingress.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A command that runs Skep in the project folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("skep"));
        command.args(arguments).current_dir(self.project.dir()).stdin(Stdio::null());
        command.env("SKEP_HIVE_DIR", self.hive_dir()).env("XDG_CACHE_HOME", self.dir.path().join("cache"));
        command.env("SKEP_HTTP_PORT", self.port.to_string()).env("NO_COLOR", "1").env_remove("SKEP_TARGET");
        command
    }

    /// Runs Skep to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn skep(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// Starts Skep and lets it run; its output goes nowhere.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Runs kubectl against this hive: the judge that its own authors did not write.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn kubectl(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(kubectl());
        command.args(arguments).env("KUBECONFIG", self.hive_dir().join("kubeconfig"));
        command.env("HOME", self.dir.path()).current_dir(self.project.dir());
        Outcome::of(&mut command)
    }

    /// Reads an object through kubectl.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn object(&self, kind: &str, name: &str) -> Value {
        let outcome = self.kubectl(&["get", kind, name, "-n", "shop", "-o", "json"]).ok();
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
    }

    /// Lists objects through kubectl.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let outcome = self.kubectl(&["get", kind, "-n", "shop", "-o", "json"]).ok();
        let list: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// GETs a path of the shop through the ingress; the body, or what went wrong.
    ///
    /// # Errors
    /// When there is no answer, or not a good one.
    pub fn get(&self, path: &str) -> Result<String, String> {
        get("shop.localhost", self.port, path)
    }

    /// The process that is this world's hive.
    ///
    /// # Panics
    /// When it is not running.
    pub fn hive_pid(&self) -> u32 {
        let status = self.skep(&["hive", "status", "--output", "json"]).ok();
        let pid = status
            .json()
            .first()
            .and_then(|line| line["pid"].as_u64())
            .and_then(|pid| u32::try_from(pid).ok());
        pid.unwrap_or_else(|| panic!("hive is not running\n{status}"))
    }

    /// Kills a process as a power cut would.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn kill_9(pid: u32) {
        Outcome::of(Command::new("kill").args(["-9", &pid.to_string()])).ok();
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.command(&["hive", "stop"]).output();
    }
}

/// GETs `http://<host>:<port><path>` on this machine.
///
/// # Errors
/// When there is no answer, or not a 2xx.
pub fn get(host: &str, port: u16, path: &str) -> Result<String, String> {
    let (url, resolve) = address(host, port, path);
    let outcome = Outcome::of(Command::new("curl").args([
        "-sS",
        "--fail",
        "--max-time",
        "5",
        "--resolve",
        &resolve,
        &url,
    ]));
    if outcome.code == Some(0) { Ok(outcome.stdout) } else { Err(outcome.stderr) }
}

/// A URL of hive's ingress, and what tells curl where that is: not every resolver knows `*.localhost`.
pub(crate) fn address(host: &str, port: u16, path: &str) -> (String, String) {
    (format!("http://{host}:{port}{path}"), format!("{host}:{port}:127.0.0.1"))
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Debian sid's kubectl, unpacked under `target/` by the first test that needs it.
fn kubectl() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project");
    let kubectl = root.join("target/tools/kubectl/usr/bin/kubectl");
    if !kubectl.exists() {
        Outcome::of(Command::new(root.join("tests/tools/fetch-kubectl.sh")).current_dir(root)).ok();
    }
    kubectl
}

/// How long a deploy in a test may take before it is called hung.
pub const PATIENCE: Duration = Duration::from_secs(60);
