//! A node that pretends: pods start, get ready, crash and end as their annotations say, in simulated time.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use skep_apiserver::{DeleteOptions, Kind, LogRequest, PodLogs, Resources, Status};
use tokio::time::sleep;

pub(crate) const NODE: &str = "node";

/// The node that pods are placed on.
pub(crate) async fn plant(resources: &Resources) -> Result<(), Status> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
    resources.create(node, "simulation").await?;
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "250"},
            "capacity": {"cpu": "64", "memory": "256Gi", "pods": "250"},
        },
    });
    resources.update_status(node, "simulation").await.map(drop)
}

/// Runs the pods of the node, for ever.
pub(crate) async fn run(resources: Resources, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut started, mut stopping) = (BTreeSet::new(), BTreeSet::new());
    let mut pods = resources.watch(Kind::POD, None);
    while let Some(event) = pods.next().await {
        let pod = event.object();
        let uid = text(pod, "/metadata/uid").to_owned();
        if text(pod, "/spec/nodeName") != NODE {
            continue;
        }
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            if stopping.insert(uid) {
                let after = Duration::from_millis(rng.random_range(50..3000));
                tokio::spawn(stop(Pod::of(&resources, pod), after));
            }
        } else if started.insert(uid) {
            let pace = Pace {
                pull: Duration::from_millis(rng.random_range(20..1500)),
                start: Duration::from_millis(rng.random_range(100..4000)),
            };
            tokio::spawn(live(Pod::of(&resources, pod), Value::clone(pod), pace));
        }
    }
}

/// How long a pod takes.
struct Pace {
    pull: Duration,
    start: Duration,
}

/// One pod, by name and UID.
struct Pod {
    resources: Resources,
    namespace: String,
    name: String,
    uid: String,
}

impl Pod {
    fn of(resources: &Resources, pod: &Value) -> Self {
        let text = |pointer| text(pod, pointer).to_owned();
        Self {
            resources: resources.clone(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
        }
    }

    /// Writes the status, unless the pod is gone or going.
    async fn tell(&self, status: Value) -> bool {
        loop {
            let found = self.resources.get(Kind::POD, Some(&self.namespace), &self.name);
            let Some(found) = found.filter(|pod| text(pod, "/metadata/uid") == self.uid) else {
                return false;
            };
            if !found["metadata"]["deletionTimestamp"].is_null() {
                return false;
            }
            let mut pod = Value::clone(&found);
            let placed = found["status"]["conditions"].as_array().into_iter().flatten();
            let placed = placed.filter(|condition| condition["type"] == "PodScheduled").cloned();
            pod["status"] = status.clone();
            if let Some(conditions) = pod["status"]["conditions"].as_array_mut() {
                conditions.extend(placed);
            }
            match self.resources.update_status(pod, "kubelet").await {
                Err(status) if status.is_conflict() => {}
                written => return written.is_ok(),
            }
        }
    }

    async fn warn(&self, reason: &str, message: &str) {
        let now = skep_ambient::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"generateName": format!("{}.", self.name), "namespace": self.namespace},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "namespace": self.namespace, "name": self.name, "uid": self.uid,
            },
            "type": "Warning", "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "source": {"component": "kubelet"},
        });
        // An event that can't be written is no pod's trouble.
        _ = self.resources.create(event, "kubelet").await;
    }
}

async fn live(pod: Pod, object: Value, pace: Pace) {
    let container = Container::of(&object);
    sleep(pace.pull).await;
    let is_job = object["spec"]["restartPolicy"] == "Never";
    if container.health == "no-image" {
        let why = format!("{}: not found", container.image);
        pod.warn("Failed", &format!("Failed to pull image \"{}\": {why}", container.image)).await;
        pod.tell(container.waiting("Pending", "ErrImagePull", &why)).await;
        return;
    }
    let mut restarts = 0;
    loop {
        if !pod.tell(container.running(restarts, false)).await {
            return;
        }
        sleep(pace.start).await;
        if is_job {
            let good = container.health == "good";
            pod.tell(container.ended(good)).await;
            return;
        }
        match container.health.as_str() {
            "crashes" => {
                restarts += 1;
                if !pod.tell(container.crashed(restarts)).await {
                    return;
                }
                sleep(Duration::from_secs(10 << restarts.min(5))).await;
            }
            "never-ready" => {
                pod.warn("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503").await;
                return;
            }
            _ => {
                pod.tell(container.running(restarts, true)).await;
                return;
            }
        }
    }
}

async fn stop(pod: Pod, after: Duration) {
    sleep(after).await;
    let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
    let there = pod.resources.get(Kind::POD, Some(&pod.namespace), &pod.name);
    if there.is_some_and(|found| text(&found, "/metadata/uid") == pod.uid) {
        // One that somebody else has removed is as gone.
        _ = pod.resources.delete(Kind::POD, Some(&pod.namespace), &pod.name, options).await;
    }
}

/// What a pod's one container is to do, and its statuses.
struct Container {
    name: String,
    image: String,
    health: String,
}

impl Container {
    fn of(pod: &Value) -> Self {
        let text = |pointer| text(pod, pointer).to_owned();
        let mut health = text("/metadata/annotations/sim~1health");
        // A command of `skep run` or `verify` has the service's container, and no annotation.
        if health.is_empty() {
            let env = pod["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
            let well = env.iter().any(|one| one["name"] == "CHECK" && one["value"] == "true");
            health = if well { "good" } else { "crashes" }.to_owned();
        }
        Self { name: text("/spec/containers/0/name"), image: text("/spec/containers/0/image"), health }
    }

    fn status(&self, phase: &str, ready: bool, restarts: u32, state: &Value, last: &Value) -> Value {
        let now = skep_ambient::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let condition = |kind: &str, is: bool| json!({"type": kind, "status": if is { "True" } else { "False" }, "lastTransitionTime": now});
        json!({
            "phase": phase, "startTime": now,
            "conditions": [
                condition("Initialized", true), condition("Ready", ready), condition("ContainersReady", ready),
            ],
            "containerStatuses": [{
                "name": self.name, "image": self.image, "imageID": "", "ready": ready, "started": true,
                "restartCount": restarts, "state": state, "lastState": last,
            }],
        })
    }

    fn waiting(&self, phase: &str, reason: &str, message: &str) -> Value {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        self.status(phase, false, 0, &state, &json!({}))
    }

    fn running(&self, restarts: u32, ready: bool) -> Value {
        let last = if restarts > 0 { terminated(1) } else { json!({}) };
        let now = skep_ambient::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.status("Running", ready, restarts, &json!({"running": {"startedAt": now}}), &last)
    }

    fn crashed(&self, restarts: u32) -> Value {
        let message = "back-off restarting failed container";
        let state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
        self.status("Running", false, restarts, &state, &terminated(1))
    }

    fn ended(&self, well: bool) -> Value {
        let (phase, code) = if well { ("Succeeded", 0) } else { ("Failed", 1) };
        self.status(phase, false, 0, &terminated(code), &json!({}))
    }
}

fn terminated(code: u32) -> Value {
    let now = skep_ambient::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let reason = if code == 0 { "Completed" } else { "Error" };
    json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}})
}

/// Every container has said one thing.
pub(crate) struct Logs;

impl PodLogs for Logs {
    fn read(
        &self,
        _: LogRequest,
    ) -> BoxFuture<'static, Result<BoxStream<'static, std::io::Result<Bytes>>, Status>> {
        let lines = futures::stream::iter([Ok(Bytes::from_static(b"a line of its log\n"))]);
        async move { Ok(lines.boxed()) }.boxed()
    }
}

pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
