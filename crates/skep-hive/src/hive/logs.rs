//! Container logs for the API: the node has them under the pod's UID.

use std::io;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use skep_apiserver::{LogRequest, PodLogs, Resources, Status};
use skep_node::Node;

use crate::kind::Kind;
use crate::object;

/// Reads from the node what the API is asked for.
#[derive(Clone, Debug)]
pub(super) struct NodeLogs {
    pub(super) resources: Resources,
    pub(super) node: Option<Node>,
}

impl PodLogs for NodeLogs {
    fn read(
        &self,
        request: LogRequest,
    ) -> BoxFuture<'static, Result<BoxStream<'static, io::Result<Bytes>>, Status>> {
        let this = self.clone();
        async move { this.open(request).await }.boxed()
    }
}

impl NodeLogs {
    async fn open(&self, request: LogRequest) -> Result<BoxStream<'static, io::Result<Bytes>>, Status> {
        let pod = self
            .resources
            .get(Kind::POD, Some(&request.namespace), &request.pod)
            .ok_or_else(|| Status::not_found("pods", &request.pod))?;
        let node = self.node.as_ref().ok_or_else(|| {
            Status::bad_request(format!("pod \"{}\" has no log: this machine can't run pods", request.pod))
        })?;
        let wanted = skep_node::LogRequest {
            namespace: request.namespace,
            pod: request.pod,
            uid: object::uid(&pod).to_owned(),
            container: request.container,
            follow: request.follow,
            previous: request.previous,
            timestamps: request.timestamps,
            since: request.since,
            tail_lines: request.tail_lines,
            limit_bytes: request.limit_bytes,
        };
        node.logs(wanted).await.map_err(|error| Status::bad_request(error.to_string()))
    }
}
