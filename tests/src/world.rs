//! What a test has to itself: a project folder, a cluster to ship it to, and Skep and kubectl run against that.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Load, Outcome, Project,
    cluster::{self, Foreign},
    program,
    reach::Reach,
    watch::Watch,
};

/// A cluster and a project to ship to it. Dropped, it stops its hive, or gives back its namespace on a cluster that is not its own.
#[derive(Debug)]
pub struct World {
    foreign: Option<Foreign>,
    app: &'static str,
    dir: TempDir,
    port: u16,
    /// What is shipped.
    pub project: Project,
}

impl World {
    /// A cluster with the shop beside it, nothing deployed.
    ///
    /// # Panics
    /// When hive does not start.
    pub fn new() -> Self {
        let world = Self::before_any_hive();
        if world.foreign.is_none() {
            world.skep(&["hive", "start"]).ok();
        }
        world
    }

    /// The same for a test that is about hive, or needs what only hive is sure to have. `None`, and noted, elsewhere.
    pub fn on_hive(why: &str) -> Option<Self> {
        if cluster::is_foreign() {
            cluster::not_run(why);
            return None;
        }
        Some(Self::new())
    }

    /// The shop where no hive has been started, nor will be unless the test does it: on a cluster of others there is none.
    ///
    /// # Panics
    /// When there is no room for a temporary folder.
    pub fn before_any_hive() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let foreign = Foreign::with_own_namespace("shop", dir.path());
        let world = Self::in_folder("shop", dir, foreign);
        if let Some(foreign) = &world.foreign {
            world.project.append("skep.yaml", &foreign.settings());
        }
        world
    }

    /// The shop for this machine, with hive not started, whatever cluster the other tests ship to.
    ///
    /// # Panics
    /// When there is no room for a temporary folder.
    pub fn without_hive() -> Self {
        Self::in_folder("shop", tempfile::tempdir().expect("a temporary folder"), None)
    }

    /// A world for an app that brings its own project.
    pub(crate) fn for_app(app: &'static str, foreign: Option<Foreign>) -> Self {
        Self::in_folder(app, tempfile::tempdir().expect("a temporary folder"), foreign)
    }

    fn in_folder(app: &'static str, dir: TempDir, foreign: Option<Foreign>) -> Self {
        Self { foreign, app, port: free_port(), project: Project::shop(dir.path()), dir }
    }

    /// The cluster, if it is not a hive of the test's own.
    pub(crate) fn foreign(&self) -> Option<&Foreign> {
        self.foreign.as_ref()
    }

    /// Where the app lives.
    pub fn namespace(&self) -> &str {
        self.foreign.as_ref().map_or(self.app, Foreign::namespace)
    }

    /// Whether the cluster is a hive of the test's own.
    pub fn is_hive(&self) -> bool {
        self.foreign.is_none()
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
        command.env("XDG_CONFIG_HOME", self.dir.path().join("config"));
        command.env_remove("SKEP_AGE_KEY").env_remove("SKEP_AGE_KEY_FILE");
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

    /// Runs kubectl in the app's namespace: the judge that hive's own authors did not write.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn kubectl(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.kubectl_command().args(arguments))
    }

    /// Runs a shell script beside the project, with kubectl at hand as [`World::kubectl`] has it.
    ///
    /// # Panics
    /// When it fails.
    pub fn shell(&self, script: &str) -> Outcome {
        let kubectl = self.kubectl_command();
        let program = kubectl.get_program().to_string_lossy().into_owned();
        let script =
            format!("kubectl() {{ '{program}' --namespace '{}' \"$@\"; }}\n{script}", self.namespace());
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script]).current_dir(self.path());
        shell.envs(kubectl.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Outcome::of(&mut shell).ok()
    }

    /// Watches all objects of a kind through kubectl.
    pub fn watch(&self, kind: &str) -> Watch {
        Watch::begin(self, kind)
    }

    pub(crate) fn kubectl_command(&self) -> Command {
        let mut command = Command::new(cluster::kubectl());
        let hive = || self.hive_dir().join("kubeconfig");
        let kubeconfig = self.foreign.as_ref().map_or_else(hive, |foreign| foreign.kubeconfig().to_owned());
        command.env("KUBECONFIG", kubeconfig).args(["--namespace", self.namespace()]);
        command.env("HOME", self.dir.path()).current_dir(self.project.dir());
        command
    }

    /// Reads an object through kubectl.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn object(&self, kind: &str, name: &str) -> Value {
        let outcome = self.kubectl(&["get", kind, name, "-o", "json"]).ok();
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
    }

    /// Lists objects through kubectl.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let outcome = self.kubectl(&["get", kind, "-o", "json"]).ok();
        let list: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// The registry that the cluster pulls from.
    ///
    /// # Panics
    /// When hive does not run.
    pub fn registry(&self) -> String {
        match &self.foreign {
            Some(foreign) => foreign.registry(),
            None => {
                let status = self.skep(&["hive", "status", "--output", "json"]).ok().json();
                status[0]["registry"].as_str().expect("hive names its registry").to_owned()
            }
        }
    }

    /// What is kept of a release, in the clear.
    ///
    /// # Panics
    /// When there is no such release.
    pub fn record(&self, number: u64) -> String {
        let secret = self.object("secret", &format!("skep.{}.v{number}", self.app));
        let data = secret["data"]["release"].as_str().expect("a record").to_owned();
        let clear = "printf %s \"$0\" | base64 --decode | gunzip";
        Outcome::of(Command::new("sh").args(["-c", clear, &data])).ok().stdout
    }

    /// Changes what is kept of a release, as another client with rights to Secrets could.
    ///
    /// # Panics
    /// When there is no such release.
    pub fn tamper(&self, number: u64, change: impl FnOnce(&mut Value)) {
        let mut record: Value = serde_json::from_str(&self.record(number)).expect("a record is JSON");
        change(&mut record);
        let file = self.path().join("tampered.json");
        std::fs::write(&file, record.to_string()).expect("a file can be written");
        let packed = "gzip --stdout \"$0\" | base64 --wrap=0";
        let packed = Outcome::of(Command::new("sh").args(["-c", packed]).arg(&file)).ok().stdout;
        let patch = format!(r#"{{"data":{{"release":"{packed}"}}}}"#);
        let secret = format!("skep.{}.v{number}", self.app);
        self.kubectl(&["patch", "secret", &secret, "--type=merge", "-p", &patch]).ok();
    }

    /// Copies an image from one name in the registry to another.
    ///
    /// # Panics
    /// When skopeo can't.
    pub fn copy_image(&self, from: &str, to: &str) {
        let (from, to) = (format!("docker://{from}"), format!("docker://{to}"));
        let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        Outcome::of(Command::new("skopeo").arg("copy").args(plain).args([&from, &to])).ok();
    }

    /// GETs a path of the shop; the body, or what went wrong.
    ///
    /// # Errors
    /// When there is no answer, or not a good one.
    pub fn get(&self, path: &str) -> Result<String, String> {
        get(SHOP, &self.reach(SHOP)?, path)
    }

    /// Asks a path of the shop about `rate` times a second until it is stopped. Through a port-forward that is the same pod all
    /// the time.
    ///
    /// # Panics
    /// When the shop can't be reached at all.
    pub fn load(&self, path: &str, rate: u64) -> Load {
        self.load_on(SHOP, path, rate)
    }

    /// The same on another host.
    ///
    /// # Panics
    /// When it can't be reached at all.
    pub fn load_on(&self, host: &str, path: &str, rate: u64) -> Load {
        let reach = self.reach(host).unwrap_or_else(|error| panic!("{host}: {error}"));
        Load::start(host, reach, path, rate)
    }

    /// How a request of this test gets to a host's service.
    pub(crate) fn reach(&self, host: &str) -> Result<Reach, String> {
        match &self.foreign {
            None => Ok(Reach::ingress(self.port)),
            Some(_) => Reach::forward(host, || self.kubectl_command()),
        }
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
        if self.foreign.is_none() {
            let _ = self.command(&["hive", "stop"]).output();
        }
    }
}

/// GETs a path of a host; the body, or what went wrong.
fn get(host: &str, reach: &Reach, path: &str) -> Result<String, String> {
    let (url, resolve) = reach.address(host, path);
    let quick = ["-sS", "--fail", "--max-time", "5", "--resolve", &resolve, &url];
    let outcome = Outcome::of(Command::new("curl").args(quick));
    if outcome.code == Some(0) { Ok(outcome.stdout) } else { Err(outcome.stderr) }
}

/// A port that nobody listens on. It lies below those that the kernel hands out by itself (32768 and up): one of these could be given
/// to anybody's connection before hive has it. Tests that run side by side begin to look at different places.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    let free = |_| {
        let turn = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (std::process::id().wrapping_mul(37).wrapping_add(turn)) % COUNT;
        let port = u16::try_from(port).ok()?;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    };
    (0..COUNT).find_map(free).expect("loopback has a free port")
}

/// How long a deploy in a test may take before it is called hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The host of the shop's Ingress.
const SHOP: &str = "shop.localhost";
