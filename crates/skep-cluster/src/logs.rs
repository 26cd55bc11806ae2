//! Container logs, whole or as they are written.

use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt, Stream, stream};

use crate::{
    Cluster, ClusterError,
    connect::request,
    redaction::{WHILE_READING, withheld},
};

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
    /// The lines of a log, as they come, redacted by the Secrets of the pod's namespace. Bytes that are not UTF-8 become U+FFFD. When the
    /// Secrets can no longer be read, a last line says so.
    ///
    /// # Errors
    /// When the pod or container is not there, or has not started; [`ClusterError::Withheld`] when the Secrets can't be read.
    pub async fn log_lines(
        &self,
        query: &LogQuery,
    ) -> Result<impl Stream<Item = std::io::Result<String>> + Send + use<>, ClusterError> {
        let log = self.log(query).await?;
        // After the log was opened: its container has started, and with it what it has of Secrets is there.
        self.read_secrets(&query.namespace, &format!("log of {}", query.pod)).await?;
        let reading =
            Reading { cluster: self.clone(), namespace: query.namespace.clone(), log, ended: false };
        Ok(stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) }))
    }

    async fn log(&self, query: &LogQuery) -> Result<impl AsyncBufRead + Send + Unpin + use<>, ClusterError> {
        let what = format!("log of {}", query.pod);
        let request = request("GET", &query.path(), Vec::new(), None)?;
        let log =
            self.client.request_stream(request).await.map_err(|error| self.failed("read", &what, error))?;
        Ok(Box::pin(log))
    }
}

/// A log that is being read.
struct Reading<L> {
    cluster: Cluster,
    namespace: String,
    log: L,
    ended: bool,
}

impl<L: AsyncBufRead + Unpin> Reading<L> {
    async fn next(&mut self) -> Option<std::io::Result<String>> {
        let mut line = Vec::new();
        match self.log.read_until(b'\n', &mut line).await {
            _ if self.ended => return None,
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => {
                self.ended = true;
                return Some(Err(error));
            }
        }
        if let Err(why) = self.cluster.refresh_secrets(&self.namespace, WHILE_READING).await {
            self.ended = true;
            return Some(Ok(format!("log {}", withheld(&self.namespace, &why.to_string()))));
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix('\n').unwrap_or(&line);
        Some(Ok(self.cluster.redaction().redact(line.strip_suffix('\r').unwrap_or(line))))
    }
}
