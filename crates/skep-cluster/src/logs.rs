//! Container logs, whole or as they are written.

use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt, Stream};

use crate::{Cluster, ClusterError, connect::request};

/// Which log, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Namespace of the pod.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container; needed when the pod has several.
    pub container: Option<String>,
    /// Keep reading as it grows, until the container ends.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<u32>,
    /// Only what is not older.
    pub since: Option<Duration>,
    /// The container before the one that runs.
    pub previous: bool,
}

impl LogQuery {
    fn path(&self) -> String {
        let mut path =
            format!("/api/v1/namespaces/{}/pods/{}/log?follow={}", self.namespace, self.pod, self.follow);
        if let Some(container) = &self.container {
            path += &format!("&container={container}");
        }
        if let Some(tail) = self.tail {
            path += &format!("&tailLines={tail}");
        }
        if let Some(since) = self.since {
            path += &format!("&sinceSeconds={}", since.as_secs().max(1));
        }
        if self.previous {
            path += "&previous=true";
        }
        path
    }
}

impl Cluster {
    /// The lines of a log, as they come.
    ///
    /// # Errors
    /// When the pod or container is not there, or has not started.
    pub async fn log_lines(
        &self,
        query: &LogQuery,
    ) -> Result<impl Stream<Item = std::io::Result<String>> + Send + use<>, ClusterError> {
        Ok(self.log(query).await?.lines())
    }

    async fn log(&self, query: &LogQuery) -> Result<impl AsyncBufRead + Send + use<>, ClusterError> {
        let what = format!("log of {}", query.pod);
        let request = request("GET", &query.path(), Vec::new(), None)?;
        self.client.request_stream(request).await.map_err(|error| self.failed("read", &what, error))
    }
}
