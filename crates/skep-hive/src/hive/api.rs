//! The API server as a part of the hive.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use skep_apiserver::{ApiServer, Resources, ServeConfig, ServeError};

use super::error::HiveError;
use super::logs::NodeLogs;
use super::state_dir::StateDir;

/// Serves the API on `listen` and writes the kubeconfig.
pub(super) async fn start(
    home: &StateDir,
    listen: SocketAddr,
    resources: Resources,
    logs: NodeLogs,
) -> Result<(ApiServer, PathBuf), HiveError> {
    let config = ServeConfig { listen, state_dir: home.path().to_owned(), names: Vec::new() };
    let api = ApiServer::serve(config, resources, Arc::new(logs)).await.map_err(|error| match error {
        ServeError::Listen { address, source } => {
            HiveError::Port { what: "API", port: address.port(), source }
        }
        other => HiveError::Api(other),
    })?;
    let kubeconfig = api.kubeconfig().to_owned();
    Ok((api, kubeconfig))
}
