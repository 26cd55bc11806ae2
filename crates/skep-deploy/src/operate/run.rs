//! `skep run`: a command in a Job of its own, with the image, the config and the secrets of a service as it runs now.

use std::{pin::pin, time::Duration};

use futures::StreamExt;
use serde_json::{Map, Value, json};
use skep_cluster::{LogQuery, OPERATOR, Snapshot};
use skep_model::{ObjectKey, Step};
use skep_rollout::Events;

use super::service_of_ours;
use crate::{
    App, Failure,
    error::{InStep, Problem},
    owned::owned_by,
    steps::roll,
};

/// How long the pod's end is waited for once its log has ended.
const END: Duration = Duration::from_secs(10);
/// How many seconds a Job that nobody could remove stays once it has ended, and runs at the most.
const KEPT: u32 = 3600;
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How much later than Skep itself the cluster ends a Job, for when Skep can't.
const SLACK: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    /// The service whose image and settings it gets.
    pub service: String,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// Runs it to its end, hands on each line that it prints, and answers its exit code. The Job is removed, also when this is stopped.
///
/// # Errors
/// When the service is unknown, the API fails, or the pod can't start.
pub async fn run(app: &App, request: &RunRequest, each: impl FnMut(String)) -> Result<i64, Failure> {
    let ended = run_within(app, request, LONGEST, each).await?;
    ended.ok_or_else(|| Failure::at(Step::Roll, Problem::Interrupted))
}

/// The same, for at most so long: `None` when it had not ended by then.
pub(crate) async fn run_within(
    app: &App,
    request: &RunRequest,
    longest: Duration,
    mut each: impl FnMut(String),
) -> Result<Option<i64>, Failure> {
    let workload = service_of_ours(app, &request.service).await?;
    let job = job(app, &workload, request, longest);
    let key = ObjectKey::of(&job).ok_or_else(|| Failure::at(Step::Apply, no_pod(&request.service)))?;
    // A command whose output could not be shown is not run.
    app.cluster.read_secrets(app.namespace(), &format!("output of {key}")).await.in_step(Step::Apply)?;
    app.cluster.create(&job, OPERATOR).await.in_step(Step::Apply)?;
    let ended = tokio::select! {
        biased;
        ended = follow(app, &key, &mut each) => ended.map(Some),
        () = tokio::time::sleep(longest) => Ok(None),
        () = app.cancel.cancelled() => Err(Failure::at(Step::Roll, Problem::Interrupted)),
    };
    let removed = app.cluster.delete(&key).await.in_step(Step::Prune);
    let code = ended?;
    removed?;
    Ok(code)
}

fn no_pod(service: &str) -> Problem {
    Problem::Project {
        what: format!("`{service}` has no pod template to run a command with"),
        hint: "name another service".to_owned(),
    }
}

/// The service's pod, with another command, no probes, no traffic: no label that a Service selects by.
fn job(app: &App, workload: &Value, request: &RunRequest, longest: Duration) -> Value {
    let mut pod = workload["spec"]["template"]["spec"].clone();
    let main = pod["containers"].as_array().and_then(|containers| {
        containers
            .iter()
            .find(|container| container["name"] == request.service.as_str())
            .or(containers.first())
            .cloned()
    });
    let mut container = main.unwrap_or_default();
    if let Some(container) = container.as_object_mut() {
        for key in ["args", "ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
            container.remove(key);
        }
        container.insert("command".to_owned(), json!(request.command));
    }
    let name = format!("{}-run-{}", request.service, hex::encode(skep_ambient::bytes::<3>()));
    if let Some(pod) = pod.as_object_mut() {
        pod.insert("containers".to_owned(), json!([container]));
        pod.insert("restartPolicy".to_owned(), json!("Never"));
    }
    let labels = json!({"app.kubernetes.io/managed-by": "skep", "skep.dev/run": request.service});
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": app.namespace(), "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT,
            "activeDeadlineSeconds": (longest + SLACK).as_secs(),
            "template": {"metadata": {"labels": labels, "annotations": Map::new()}, "spec": pod},
        },
    })
}

async fn follow(app: &App, key: &ObjectKey, each: &mut impl FnMut(String)) -> Result<i64, Failure> {
    let mut view = app.cluster.view(app.namespace());
    let pod = loop {
        let seen = view.changed().await.in_step(Step::Roll)?;
        if let Some(pod) = pod_of(seen, key) {
            if let Some(diagnosis) =
                roll::final_symptom(&[pod], &Events::new(&seen.all("Event"))).filter(|_| never_ran(pod))
            {
                let what = format!("the pod of {key} can't start: {diagnosis}");
                let hint = "`skep status` shows whether the service itself runs".to_owned();
                return Err(Failure::at(Step::Roll, Problem::Project { what, hint }));
            }
            if let Some(name) = pod["metadata"]["name"].as_str().filter(|_| state(pod).is_some()) {
                break name.to_owned();
            }
        }
    };
    let query = LogQuery { namespace: app.namespace().to_owned(), pod, follow: true, ..LogQuery::default() };
    let mut lines = pin!(app.cluster.log_lines(&query).await.in_step(Step::Roll)?);
    while let Some(Ok(line)) = lines.next().await {
        each(line);
    }
    let ended = async {
        loop {
            let code =
                pod_of(view.latest(), key).and_then(|pod| state(pod)?["terminated"]["exitCode"].as_i64());
            if let Some(code) = code {
                return Ok(code);
            }
            view.changed().await.in_step(Step::Roll)?;
        }
    };
    tokio::time::timeout(END, ended).await.unwrap_or_else(|_| {
        let what = format!("the log of {key} ended, and its pod does not");
        let hint = "the connection may have been lost: `kubectl get pods` shows it".to_owned();
        Err(Failure::at(Step::Roll, Problem::Project { what, hint }))
    })
}

fn pod_of<'s>(seen: &'s Snapshot, job: &ObjectKey) -> Option<&'s Value> {
    let job = seen.get("Job", &job.name)?;
    owned_by(job, &seen.all("Pod")).into_iter().next()
}

/// Whether its program could not even be started.
fn never_ran(pod: &Value) -> bool {
    let not_started = ["StartError", "ContainerCannotRun", "RunContainerError"];
    state(pod).is_none_or(|state| {
        state["terminated"]["reason"].as_str().is_some_and(|reason| not_started.contains(&reason))
    })
}

/// Of its container, once it has started.
fn state(pod: &Value) -> Option<&Value> {
    let state = &pod["status"]["containerStatuses"][0]["state"];
    (state["running"].is_object() || state["terminated"].is_object()).then_some(state)
}
