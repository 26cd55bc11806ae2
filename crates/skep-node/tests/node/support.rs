//! A node over a busybox image, and pods on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use serde_json::{Value, json};
use skep_node::*;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Root in this machine's own namespaces, or the test says loudly that it did not run.
pub(crate) fn root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: {test} needs root");
    }
    root
}

pub(crate) struct Bench {
    pub(crate) node: Node,
    pub(crate) updates: UnboundedReceiver<PodUpdate>,
    pub(crate) statuses: BTreeMap<String, PodStatus>,
    pub(crate) events: Vec<(String, String, String)>,
    pub(crate) gone: Vec<String>,
    pub(crate) folder: PathBuf,
    _keep: Option<tempfile::TempDir>,
}

pub(crate) fn config(folder: &Path) -> NodeConfig {
    let mut config = NodeConfig::new(folder.join("state"), env!("CARGO_BIN_EXE_skep-node-init"));
    config.backoff = Backoff {
        initial: Duration::from_millis(300),
        max: Duration::from_secs(2),
        reset: Duration::from_secs(600),
    };
    config
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let config = config(keep.path());
        let mut bench = Self::over(config, keep.path()).await;
        bench._keep = Some(keep);
        bench
    }

    pub(crate) async fn over(config: NodeConfig, folder: &Path) -> Self {
        let (node, updates) = Node::start(config, NetworkPlan::default()).await.unwrap();
        Self {
            node,
            updates,
            statuses: BTreeMap::new(),
            events: Vec::new(),
            gone: Vec::new(),
            folder: folder.to_owned(),
            _keep: None,
        }
    }

    pub(crate) fn image(&self) -> LocalImage {
        busybox(&self.folder)
    }

    /// A pod's input; `spec` may leave out images.
    pub(crate) fn input(&self, name: &str, spec: Value) -> PodInput {
        let mut spec = spec;
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if container["image"].is_null() {
                    container["image"] = json!("busybox");
                }
            }
        }
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": {"app": name}},
            "spec": spec,
        }))
        .unwrap();
        PodInput {
            pod: Arc::new(pod),
            images: BTreeMap::from([("busybox".to_owned(), ImageState::Ready(self.image()))]),
            ..PodInput::default()
        }
    }

    pub(crate) fn run(&self, name: &str, spec: Value) {
        self.node.sync(self.input(name, spec));
    }

    fn take(&mut self, update: PodUpdate) {
        match update {
            PodUpdate::Status { name, status, .. } => {
                self.statuses.insert(name, *status);
            }
            PodUpdate::Gone { name, status, .. } => {
                self.statuses.insert(name.clone(), *status);
                self.gone.push(name);
            }
            PodUpdate::Event { name, reason, message, .. } => self.events.push((name, reason, message)),
        }
    }

    /// Reads updates until `found` finds something.
    pub(crate) async fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = found(self) {
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.updates.recv()).await {
                Ok(Some(update)) => self.take(update),
                _ => {
                    let states: Vec<_> = self
                        .statuses
                        .iter()
                        .map(|(name, status)| {
                            let states = status
                                .init_container_statuses
                                .iter()
                                .chain(&status.container_statuses)
                                .flatten();
                            let states: Vec<_> = states
                                .map(|found| json!([found.state, found.last_state, found.ready]))
                                .collect();
                            json!([name, status.phase, states]).to_string()
                        })
                        .collect();
                    panic!("{what}: not within {PATIENCE:?}\n{states:#?}\n{:?}", self.events)
                }
            }
        }
    }

    pub(crate) async fn status(
        &mut self,
        name: &str,
        what: &str,
        wanted: impl Fn(&PodStatus) -> bool,
    ) -> PodStatus {
        self.until(&format!("{name}: {what}"), |bench| {
            bench.statuses.get(name).filter(|status| wanted(status)).cloned()
        })
        .await
    }

    pub(crate) async fn phase(&mut self, name: &str, phase: &str) -> PodStatus {
        self.status(name, phase, |status| status.phase.as_deref() == Some(phase)).await
    }

    pub(crate) async fn ready(&mut self, name: &str) -> PodStatus {
        self.status(name, "ready", is_ready).await
    }

    pub(crate) async fn event(&mut self, name: &str, reason: &str, part: &str) -> String {
        self.until(&format!("{name}: event {reason} {part:?}"), |bench| {
            let wanted = |(pod, why, message): &&(String, String, String)| {
                pod == name && why == reason && message.contains(part)
            };
            bench.events.iter().find(wanted).map(|(_, _, message)| message.clone())
        })
        .await
    }

    pub(crate) async fn terminate(&mut self, name: &str, grace: Duration) -> Duration {
        let start = Instant::now();
        self.node.terminate(&format!("uid-{name}"), grace);
        self.until(&format!("{name}: gone"), |bench| {
            bench.gone.iter().any(|gone| gone == name).then_some(())
        })
        .await;
        start.elapsed()
    }

    pub(crate) fn log_request(&self, pod: &str, container: &str) -> LogRequest {
        LogRequest {
            namespace: "default".to_owned(),
            pod: pod.to_owned(),
            uid: format!("uid-{pod}"),
            container: container.to_owned(),
            ..LogRequest::default()
        }
    }

    pub(crate) async fn log(&self, request: LogRequest) -> String {
        let parts: Vec<_> = self.node.logs(request).await.unwrap().try_collect().await.unwrap();
        String::from_utf8(parts.concat()).unwrap()
    }

    /// The log of a container that has ended, or of `c` in a finished pod.
    pub(crate) async fn said(&self, pod: &str) -> String {
        self.log(self.log_request(pod, "c")).await
    }

    /// Runs a script to its end as pod `name`; its exit code and log.
    pub(crate) async fn script(&mut self, name: &str, script: &str) -> (i32, String) {
        let spec =
            json!({"restartPolicy": "Never", "containers": [{"name": "c", "command": ["sh", "-c", script]}]});
        self.finish(name, self.input(name, spec)).await
    }

    pub(crate) async fn finish(&mut self, name: &str, input: PodInput) -> (i32, String) {
        self.node.sync(input);
        let status = self
            .status(name, "finished", |status| {
                matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
            })
            .await;
        let state = status.container_statuses.unwrap().remove(0).state.unwrap();
        let code = state.terminated.map_or(-1, |ending| ending.exit_code);
        (code, self.said(name).await)
    }
}

pub(crate) fn is_ready(status: &PodStatus) -> bool {
    status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(crate) fn container(status: &PodStatus) -> &ContainerStatus {
    &status.container_statuses.as_ref().unwrap()[0]
}

pub(crate) fn waiting_reason(status: &PodStatus) -> Option<String> {
    container(status).state.as_ref()?.waiting.as_ref()?.reason.clone()
}

/// Debian's static busybox (package busybox-static) as an image of one layer.
pub(crate) fn busybox(folder: &Path) -> LocalImage {
    let blob = folder.join("busybox.tar");
    if !blob.exists() {
        let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        let program = fs::read(program.expect("the package busybox-static is installed")).unwrap();
        let mut layer = tar::Builder::new(Vec::new());
        let mut add = |path: &str, mode: u32, kind: tar::EntryType, content: &[u8], link: Option<&str>| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1_700_000_000);
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            match link {
                Some(link) => layer.append_link(&mut header, path, link).unwrap(),
                None => layer.append_data(&mut header, path, content).unwrap(),
            }
        };
        let folder_kind = tar::EntryType::Directory;
        for (path, mode) in [("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("run", 0o755), ("var", 0o755)]
        {
            add(path, mode, folder_kind, b"", None);
        }
        add("bin/busybox", 0o755, tar::EntryType::Regular, &program, None);
        // An absolute link, as many images have it: it must not lead to the host's.
        add("var/run", 0o777, tar::EntryType::Symlink, b"", Some("/run"));
        add(
            "etc/passwd",
            0o644,
            tar::EntryType::Regular,
            b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n",
            None,
        );
        add("etc/group", 0o644, tar::EntryType::Regular, b"root:x:0:\nweb:x:1000:\nextra:x:77:web\n", None);
        add("bin/broken", 0o755, tar::EntryType::Regular, b"\x7fELF not really", None);
        for applet in [
            "sh", "cat", "ls", "echo", "sleep", "id", "env", "hostname", "httpd", "nc", "wget", "ps", "kill",
            "touch", "mkdir", "ip", "stat", "grep", "head", "seq", "true", "false", "mount", "readlink",
            "trap", "date", "dd", "pwd", "test", "wc", "tail", "awk",
        ] {
            add(&format!("bin/{applet}"), 0o777, tar::EntryType::Symlink, b"", Some("busybox"));
        }
        fs::write(&blob, layer.into_inner().unwrap()).unwrap();
    }
    LocalImage {
        digest: "sha256:feed".to_owned(),
        config: json!({"config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sh", "-c", "echo image default"]}}),
        layers: vec![LayerBlob {
            digest: format!("sha256:{:064x}", 0xbb),
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            path: blob,
        }],
    }
}
