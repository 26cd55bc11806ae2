//! `skep logs`: the lines of every pod of some services, through rollouts and restarts where they are followed.

use std::{collections::BTreeSet, time::Duration};

use futures::{
    StreamExt,
    stream::{BoxStream, SelectAll, once},
};
use serde_json::Value;
use skep_cluster::{ClusterError, LogQuery, Snapshot};
use skep_model::{Event, ObjectKey, Step};

use crate::{App, Failure, error::InStep, operate::service_named, owned::pods_of, status::workloads};

/// How long the cluster may take to say that a container has ended whose log has.
const LOST: Duration = Duration::from_secs(2);

/// Which logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogsRequest {
    /// The services; all when empty.
    pub services: Vec<String>,
    /// Go on as they grow, and with pods that come.
    pub follow: bool,
    /// Only the last lines of each container.
    pub tail: Option<u32>,
    /// Only what is not older.
    pub since: Option<Duration>,
    /// Of the containers before those that run.
    pub previous: bool,
}

/// A line and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The pod.
    pub pod: String,
    /// The container, where the pod has several.
    pub container: Option<String>,
    /// Without its newline.
    pub line: String,
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    pod: String,
    container: String,
    restarts: u64,
}

/// What a stream gives: a line, or that the run's log has ended.
enum Said {
    Line(LogLine),
    End(Run),
}

/// Reads the logs of services' pods and calls `each` with every line; pods are read together when following, one after another
/// otherwise.
///
/// # Errors
/// When a service is unknown, or the API fails.
pub async fn logs(app: &App, request: &LogsRequest, mut each: impl FnMut(LogLine)) -> Result<(), Failure> {
    let services = services(app, &request.services).await?;
    let mut view = app.cluster.view(app.namespace());
    view.changed().await.in_step(Step::Load)?;
    let mut is_new = false;
    let mut ended = Vec::new();
    let mut known: BTreeSet<Run> = BTreeSet::new();
    let mut streams: SelectAll<BoxStream<'static, Said>> = SelectAll::new();
    loop {
        for (run, several) in runs(view.latest(), &services, request.previous) {
            if !known.insert(run.clone()) {
                continue;
            }
            let Some(mut lines) = open(app, request, &run, several, is_new).await? else {
                known.remove(&run);
                continue;
            };
            if request.follow {
                streams.push(lines);
                continue;
            }
            while let Some(said) = lines.next().await {
                if let Said::Line(line) = said {
                    each(line);
                }
            }
        }
        if !request.follow {
            return Ok(());
        }
        // What was there is shown as it was asked for; of what comes since, all.
        is_new = true;
        loop {
            tokio::select! {
                Some(said) = streams.next(), if !streams.is_empty() => match said {
                    Said::Line(line) => each(line),
                    Said::End(run) => ended.push(run),
                },
                // What still runs under the same count a moment later has only lost its stream.
                () = tokio::time::sleep(LOST), if !ended.is_empty() => {
                    for run in ended.drain(..).filter(|run| is_running(view.latest(), run)) {
                        known.remove(&run);
                    }
                    break;
                }
                changed = view.changed() => {
                    changed.in_step(Step::Load)?;
                    break;
                }
                () = app.cancel.cancelled() => return Ok(()),
            }
        }
    }
}

/// The services by name, or those of the newest release.
async fn services(app: &App, names: &[String]) -> Result<Vec<ObjectKey>, Failure> {
    let mut found = Vec::new();
    for name in names {
        found.extend(ObjectKey::of(&service_named(app, name).await?));
    }
    if names.is_empty() {
        found = workloads(app).await?;
    }
    Ok(found)
}

/// Every run of a container of these services whose log there is, the oldest pods first; and whether its pod has several containers.
fn runs(seen: &Snapshot, services: &[ObjectKey], previous: bool) -> Vec<(Run, bool)> {
    let (sets, all) = (seen.all("ReplicaSet"), seen.all("Pod"));
    let mut found = Vec::new();
    for service in services.iter().filter_map(|key| seen.get(&key.kind, &key.name)) {
        for pod in pods_of(service, &sets, &all) {
            let statuses: Vec<&Value> = ["initContainerStatuses", "containerStatuses"]
                .into_iter()
                .filter_map(|list| pod["status"][list].as_array())
                .flatten()
                .collect();
            let several = statuses.len() > 1;
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let has_log = |status: &&&Value| {
                let (state, last) = (&status["state"], &status["lastState"]);
                match previous {
                    true => last["terminated"].is_object(),
                    false => state["running"].is_object() || state["terminated"].is_object(),
                }
            };
            found.extend(statuses.iter().filter(has_log).map(|status| {
                let container = status["name"].as_str().unwrap_or_default().to_owned();
                let restarts = status["restartCount"].as_u64().unwrap_or(0);
                (Run { pod: name.to_owned(), container, restarts }, several)
            }));
        }
    }
    found
}

fn is_running(seen: &Snapshot, run: &Run) -> bool {
    let statuses = seen.get("Pod", &run.pod).and_then(|pod| pod["status"]["containerStatuses"].as_array());
    statuses.into_iter().flatten().any(|status| {
        status["name"] == run.container.as_str()
            && status["restartCount"] == run.restarts
            && status["state"]["running"].is_object()
    })
}

/// The lines of a run; `None` where the runtime has let go of it.
async fn open(
    app: &App,
    request: &LogsRequest,
    run: &Run,
    several: bool,
    is_new: bool,
) -> Result<Option<BoxStream<'static, Said>>, Failure> {
    let query = LogQuery {
        namespace: app.namespace().to_owned(),
        pod: run.pod.clone(),
        container: Some(run.container.clone()),
        follow: request.follow && !request.previous,
        tail: request.tail.filter(|_| !is_new),
        since: request.since.filter(|_| !is_new),
        previous: request.previous,
    };
    let lines = match app.cluster.log_lines(&query).await {
        Ok(lines) => lines,
        // The others' logs are wanted all the same.
        Err(error) if matches!(error, ClusterError::Refused { code: 400 | 404, .. }) => {
            app.emit.emit(Event::Warning { message: format!("{} has no log: {error}", run.pod) });
            return Ok(None);
        }
        Err(error) => return Err(Failure::at(Step::Load, error)),
    };
    let (pod, container) = (run.pod.clone(), several.then(|| run.container.clone()));
    let lines = lines
        .filter_map(|line| async { line.ok() })
        .map(move |line| Said::Line(LogLine { pod: pod.clone(), container: container.clone(), line }));
    let run = run.clone();
    Ok(Some(lines.chain(once(async move { Said::End(run) })).boxed()))
}
