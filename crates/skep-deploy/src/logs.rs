//! `skep logs`: the lines of every pod of a service.

use futures::{StreamExt, stream::SelectAll};
use skep_cluster::{ClusterError, LogQuery, Route, Selector};
use skep_model::{Event, Step};

use crate::{App, Failure, error::InStep, operate::service_named, steps::roll::pods_of};

/// Which logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsRequest {
    /// The service.
    pub service: String,
    /// Go on as they grow.
    pub follow: bool,
    /// Only the last lines of each pod.
    pub tail: Option<u32>,
}

/// A line and the pod that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The pod.
    pub pod: String,
    /// Without its newline.
    pub line: String,
}

/// Reads the logs of a service's pods and calls `each` with every line; pods are read together when following, one after
/// another otherwise.
///
/// # Errors
/// When the service is unknown, has no pods, or the API fails.
pub async fn logs(app: &App, request: &LogsRequest, mut each: impl FnMut(LogLine)) -> Result<(), Failure> {
    let pods = pods(app, &request.service).await?;
    let mut streams = SelectAll::new();
    for pod in pods {
        let query = LogQuery {
            namespace: app.namespace().to_owned(),
            pod: pod.clone(),
            container: None,
            follow: request.follow,
            tail: request.tail,
            previous: false,
        };
        let lines = match app.cluster.log_lines(&query).await {
            Ok(lines) => lines,
            // A pod that has not started has printed nothing; the others' logs are wanted all the same.
            Err(error) if matches!(error, ClusterError::Refused { code: 400 | 404, .. }) => {
                app.emit.emit(Event::Warning { message: format!("{pod} has no log yet: {error}") });
                continue;
            }
            Err(error) => return Err(Failure::at(Step::Load, error)),
        };
        let mut lines = Box::pin(
            lines.filter_map(|line| async { line.ok() }).map(move |line| LogLine { pod: pod.clone(), line }),
        );
        if request.follow {
            streams.push(lines);
        } else {
            while let Some(line) = lines.next().await {
                each(line);
            }
        }
    }
    loop {
        tokio::select! {
            line = streams.next() => match line {
                Some(line) => each(line),
                None => return Ok(()),
            },
            () = app.cancel.cancelled() => return Ok(()),
        }
    }
}

/// The names of a workload's pods, oldest first.
async fn pods(app: &App, service: &str) -> Result<Vec<String>, Failure> {
    let owner = service_named(app, service).await?;
    let list = async |api_version: &str, kind: &str| match Route::built_in(api_version, kind) {
        Some(route) => {
            app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await.in_step(Step::Load)
        }
        None => Ok(Vec::new()),
    };
    let sets = list("apps/v1", "ReplicaSet").await?;
    let sets: Vec<_> = sets.iter().collect();
    let all = list("v1", "Pod").await?;
    let all: Vec<_> = all.iter().collect();
    let mut pods = pods_of(&owner, &all);
    pods.extend(pods_of(&owner, &sets).iter().flat_map(|set| pods_of(set, &all)));
    pods.sort_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str());
    Ok(pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect())
}
