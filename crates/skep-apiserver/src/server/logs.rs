//! `pods/<name>/log`: checked here, read by whoever runs the pods.

use std::io;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::Value;

use super::Context;
use super::body::{self, Answer};
use super::query::Query;
use crate::kind::Key;
use crate::meta;
use crate::status::Status;

/// Which log is wanted, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// One of the pod's containers; init containers too.
    pub container: String,
    /// Go on until the container has ended.
    pub follow: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<u64>,
    /// Only what was written at or after this time.
    pub since: Option<Timestamp>,
    /// Of the container before its last restart.
    pub previous: bool,
    /// Each line begins with the time it was written, RFC 3339 with nanoseconds.
    pub timestamps: bool,
    /// Stop after so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Whoever has the pods' logs.
pub trait PodLogs: Send + Sync {
    /// Opens a log. Fails with 404 or 400 when there is none to read.
    fn read(
        &self,
        request: LogRequest,
    ) -> BoxFuture<'static, Result<BoxStream<'static, io::Result<Bytes>>, Status>>;
}

pub(super) async fn read(context: &Context, key: &Key, query: &Query) -> Result<Answer, Status> {
    let pod = context.resources.existing(key)?;
    let since = match (query.number("sinceSeconds")?, query.get("sinceTime")) {
        (Some(seconds), _) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            Some(
                Timestamp::from_second(skep_ambient::now().as_second().saturating_sub(seconds))
                    .unwrap_or(Timestamp::MIN),
            )
        }
        (None, "") => None,
        (None, time) => Some(time.parse().map_err(|_| {
            Status::bad_request(format!("invalid value for sinceTime: \"{time}\" is no RFC 3339 time"))
        })?),
    };
    let request = LogRequest {
        namespace: key.namespace.clone().unwrap_or_default(),
        pod: key.name.clone(),
        container: container(&pod, query.get("container"))?,
        follow: query.is("follow"),
        tail_lines: query.number("tailLines")?,
        since,
        previous: query.is("previous"),
        timestamps: query.is("timestamps"),
        limit_bytes: query.number("limitBytes")?,
    };
    if !request.previous {
        check_started(&pod, &request.container)?;
    }
    Ok(body::streaming("text/plain", context.logs.read(request).await?))
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    meta::list(pod, &format!("/spec/{list}"))
        .iter()
        .filter_map(|container| container["name"].as_str())
        .collect()
}

/// The container that is meant: the named one, the only one, or the one that the pod's annotation names.
fn container(pod: &Value, asked: &str) -> Result<String, Status> {
    let name = meta::name(pod);
    let (own, init) = (names(pod, "containers"), names(pod, "initContainers"));
    if !asked.is_empty() {
        if own.contains(&asked) || init.contains(&asked) {
            return Ok(asked.to_owned());
        }
        return Err(Status::bad_request(format!("container {asked} is not valid for pod {name}")));
    }
    let annotated = meta::text(pod, "/metadata/annotations/kubectl.kubernetes.io~1default-container");
    match (own.as_slice(), annotated) {
        ([only], _) => Ok((*only).to_owned()),
        (_, Some(named)) if own.contains(&named) => Ok(named.to_owned()),
        _ => {
            let more = match init.as_slice() {
                [] => String::new(),
                init => format!(" or one of the init containers: [{}]", init.join(" ")),
            };
            Err(Status::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]{more}",
                own.join(" ")
            )))
        }
    }
}

/// A container that never ran has no log.
fn check_started(pod: &Value, container: &str) -> Result<(), Status> {
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| meta::list(pod, list));
    let Some(status) = statuses.find(|status| status["name"] == container) else { return Ok(()) };
    let restarted = meta::number(status, "/restartCount").unwrap_or(0) > 0;
    match meta::text(status, "/state/waiting/reason") {
        Some(reason) if !restarted && status.pointer("/lastState/terminated").is_none() => {
            let why = match reason {
                "ContainerCreating" | "PodInitializing" => format!("is waiting to start: {reason}"),
                _ => format!(
                    "is waiting to start: {}",
                    meta::text(status, "/state/waiting/message").unwrap_or(reason)
                ),
            };
            Err(Status::bad_request(format!(
                "container \"{container}\" in pod \"{}\" {why}",
                meta::name(pod)
            )))
        }
        _ => Ok(()),
    }
}
