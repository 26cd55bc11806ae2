//! A node that runs nothing: pods that are bound to it are said to run, and to be ready a while later. With it a cluster can have a thousand
//! pods on a machine that has room for ten.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::World;

/// What pods name as their scheduler that are to be here.
pub const SCHEDULER: &str = "far";

const NODE: &str = "far";
/// How often pods are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many requests are under way at once.
const AT_ONCE: usize = 16;

/// The node. It goes with the value.
#[derive(Debug)]
pub struct FarNode {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    proxy: Child,
}

impl FarNode {
    /// Joins the world's cluster. Its pods are ready so long after they were bound.
    ///
    /// # Panics
    /// When `kubectl proxy` does not start.
    pub fn join(world: &World, ready_after: Duration) -> Self {
        // Whoever is first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut proxy = world
            .kubectl_command()
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("kubectl starts");
        let mut line = String::new();
        BufReader::new(proxy.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it says where it is");
        let base = format!("http://{}/api/v1", line.trim().rsplit(' ').next().expect("an address"));
        let pods = format!("{base}/namespaces/{}/pods", world.namespace());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let runtime = Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let client = Client::builder().no_proxy().build().expect("a client");
                let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
                send(&client, Method::POST, &format!("{base}/nodes"), &node, "application/json").await;
                while !stopped.load(Ordering::Relaxed) {
                    look(&client, &pods, ready_after).await;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            });
        });
        Self { stop, thread: Some(thread), proxy }
    }
}

impl Drop for FarNode {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(thread::JoinHandle::join));
        drop(self.proxy.kill());
        drop(self.proxy.wait());
    }
}

/// Looks at all pods once and does what is due.
async fn look(client: &Client, pods: &str, ready_after: Duration) {
    let Ok(answer) = client.get(pods).send().await else { return };
    let Ok(list) = answer.json::<Value>().await else { return };
    let now = Timestamp::now();
    let due = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|pod| pod["spec"]["schedulerName"] == SCHEDULER);
    let work: Vec<(Method, String, Value)> = due
        .filter_map(|pod| {
            let url = format!("{pods}/{}", pod["metadata"]["name"].as_str()?);
            let is_bound = pod["spec"]["nodeName"].is_string();
            let bound_at: Option<Timestamp> =
                pod["metadata"]["annotations"]["far/bound-at"].as_str().and_then(|at| at.parse().ok());
            if pod["metadata"]["deletionTimestamp"].is_string() {
                return Some((Method::DELETE, url, json!({"gracePeriodSeconds": 0})));
            }
            if !is_bound {
                let bind = json!({"metadata": {"annotations": {"far/bound-at": now.to_string()}}, "spec": {"nodeName": NODE}});
                return Some((Method::PATCH, url, bind));
            }
            let is_ready = bound_at.is_some_and(|at| now >= at + ready_after);
            let told = pod["status"]["containerStatuses"][0]["ready"].as_bool();
            (told != Some(is_ready)).then(|| (Method::PATCH, format!("{url}/status"), running(pod, is_ready)))
        })
        .collect();
    let sent = stream::iter(work).map(|(method, url, body)| async move {
        send(client, method, &url, &body, "application/merge-patch+json").await;
    });
    sent.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// The status of a pod that runs.
fn running(pod: &Value, is_ready: bool) -> Value {
    let (since, ready) = (format!("{:.0}", Timestamp::now()), if is_ready { "True" } else { "False" });
    let condition =
        |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": since});
    let container = &pod["spec"]["containers"][0];
    json!({"status": {
        "phase": "Running",
        "startTime": since,
        "conditions": [condition("PodScheduled", "True"), condition("Initialized", "True"),
            condition("ContainersReady", ready), condition("Ready", ready)],
        "containerStatuses": [{"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0,
            "ready": is_ready, "started": true, "state": {"running": {"startedAt": since}}}],
    }})
}

async fn send(client: &Client, method: Method, url: &str, body: &Value, kind: &str) {
    let kind = if method == Method::DELETE { "application/json" } else { kind };
    // Whatever went wrong is seen at the next look.
    drop(client.request(method, url).header("Content-Type", kind).body(body.to_string()).send().await);
}
