//! A real server on loopback, for tests that talk HTTPS to it.

#![expect(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use skep_apiserver::{ApiServer, LogRequest, PodLogs, Resources, ResourcesConfig, ServeConfig, Status};

/// Tells what was asked for.
pub(crate) struct Echo;

impl PodLogs for Echo {
    fn read(
        &self,
        request: LogRequest,
    ) -> BoxFuture<'static, Result<BoxStream<'static, std::io::Result<Bytes>>, Status>> {
        let line = format!("{} {} tail={:?}\n", request.pod, request.container, request.tail_lines);
        Box::pin(async move { Ok(stream::iter([Ok(Bytes::from(line))]).boxed()) })
    }
}

pub(crate) struct Server {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) resources: Resources,
    pub(crate) api: ApiServer,
}

impl Server {
    pub(crate) async fn start() -> Self {
        // A second test of the process finds it installed.
        _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let config = ResourcesConfig {
            service_cidr: Some(("10.96.0.0".parse().unwrap(), 24)),
            ..ResourcesConfig::default()
        };
        let resources = Resources::open(config).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = ServeConfig { listen, state_dir: folder.path().to_owned(), names: Vec::new() };
        let api = ApiServer::serve(config, resources.clone(), Arc::new(Echo)).await.unwrap();
        Self { folder, resources, api }
    }

    pub(crate) async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.api.kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Runs kubectl to its end; `input` is its standard input.
    pub(crate) async fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(kubectl());
        command
            .arg("--kubeconfig")
            .arg(self.api.kubeconfig())
            .arg("--cache-dir")
            .arg(self.folder.path().join("cache"))
            .args(arguments)
            .env_remove("KUBECONFIG");
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            use std::io::Write;
            use std::process::Stdio;
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        })
        .await
        .unwrap()
    }

    /// Runs kubectl, which must succeed, and returns what it printed.
    pub(crate) async fn ok(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl(arguments, input).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?}\n{out}\n{err}");
        format!("{out}{err}")
    }

    /// Runs kubectl, which must fail, and returns what it said.
    pub(crate) async fn fails(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl(arguments, input).await;
        assert!(!output.status.success(), "kubectl {arguments:?} did not fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// Debian sid's kubectl; fetched when it isn't there yet.
fn kubectl() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("tests/tools/fetch-kubectl.sh")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl can't be had: {said}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
