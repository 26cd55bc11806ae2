//! Starts a hive and talks to it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running hive with its client. Stopped when dropped.
pub(crate) struct Hive {
    child: Child,
    pub(crate) address: Value,
    pub(crate) client: Client,
    pub(crate) http: reqwest::Client,
}

/// Whether this machine lets the tests run; says loudly if not.
pub(crate) fn possible() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    let busybox = Path::new("/bin/busybox").exists();
    if !root || !busybox {
        eprintln!(
            "SKIPPED: a whole hive needs root (found: {root}) and the package busybox-static (found: {busybox})"
        );
    }
    root && busybox
}

pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("skep-hive-").tempdir().unwrap()
}

pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skep-hive"));
    command
        .arg("--state-dir")
        .arg(dir)
        .args(["--http-port", "0", "--backoff-ms", "300"])
        .stdout(Stdio::piped());
    command
}

impl Hive {
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_with(command(dir)).await
    }

    pub(crate) async fn start_with(mut command: Command) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let status = child.wait().unwrap();
            panic!("the hive announced {line:?} ({error}) and ended with {status}")
        });
        let kubeconfig =
            Kubeconfig::read_from(PathBuf::from(address["kubeconfig"].as_str().unwrap())).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
        Self { child, address, client, http }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// GET through the Ingress.
    pub(crate) async fn get(&self, host: &str) -> Result<(u16, String), reqwest::Error> {
        page(&self.http, &self.ingress_url(), host).await
    }

    pub(crate) fn ingress_url(&self) -> String {
        format!("http://{}/", self.address["ingress"].as_str().unwrap())
    }

    pub(crate) async fn pods(&self, labels: &str) -> Vec<Pod> {
        self.api().list(&ListParams::default().labels(labels)).await.unwrap().items
    }

    /// Waits until the Deployment is rolled out as `kubectl rollout status` judges it.
    pub(crate) async fn rolled_out(&self, name: &str) {
        let deployments: Api<Deployment> = self.api();
        until(&format!("{name} is rolled out"), async || {
            let one = deployments.get(name).await.unwrap();
            let wanted = one.spec.as_ref().and_then(|spec| spec.replicas);
            let status = one.status.clone().unwrap_or_default();
            status.observed_generation == one.metadata.generation
                && status.updated_replicas.unwrap_or(0) == wanted.unwrap_or(1)
                && status.replicas.unwrap_or(0) == wanted.unwrap_or(1)
                && status.available_replicas.unwrap_or(0) == wanted.unwrap_or(1)
        })
        .await;
    }

    /// Pods and events, for whoever reads a failed test.
    fn tell_what_it_knows(&self) {
        let home = Path::new(self.address["kubeconfig"].as_str().unwrap()).parent().unwrap().to_owned();
        let token = std::fs::read_to_string(home.join("ca/token")).unwrap_or_default();
        for what in ["pods", "events"] {
            let url =
                format!("https://{}/api/v1/namespaces/default/{what}", self.address["api"].as_str().unwrap());
            let header = format!("Authorization: Bearer {token}");
            let answer = Command::new("curl").args(["-sk", "-m", "5", "-H", &header, &url]).output();
            let list: Value =
                answer.ok().and_then(|found| serde_json::from_slice(&found.stdout).ok()).unwrap_or_default();
            for one in list["items"].as_array().into_iter().flatten() {
                match what {
                    "pods" => eprintln!("pod {} {}", one["metadata"]["name"], one["status"]),
                    _ => eprintln!(
                        "event {} {} {}",
                        one["involvedObject"]["name"], one["reason"], one["message"]
                    ),
                }
            }
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Asks the hive to stop and waits. Returns whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        self.signal("-TERM");
        let begun = Instant::now();
        let status = self.child.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "stopping took {:?}", begun.elapsed());
        status.success()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Hive {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if std::thread::panicking() {
                self.tell_what_it_knows();
            }
            self.signal("-TERM");
            drop(self.child.wait());
        }
    }
}

/// GET: status and body.
pub(crate) async fn page(
    http: &reqwest::Client,
    url: &str,
    host: &str,
) -> Result<(u16, String), reqwest::Error> {
    let response = http.get(url).header("host", host).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await?))
}

/// Polls a condition until it holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
