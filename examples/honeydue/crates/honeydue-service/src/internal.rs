//! The port for the cluster: metrics, and the release with its pod's name.
//!
//! It is separate from the public port because an Ingress forwards every path of that one.

use axum::{Json, Router, routing::get};
use tokio::net::TcpListener;

use crate::{
    Drain, Release, SettingError, address,
    metrics::{self, Metrics},
    serve,
};

/// The port can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    /// It was configured wrongly.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The port is taken, or the address isn't this machine's.
    #[error("the port for metrics (METRICS_PORT) can't be opened")]
    Port(#[source] std::io::Error),
}

/// `/metrics` and `/version`, ready to be served.
#[derive(Debug)]
pub struct Internal {
    listener: TcpListener,
    router: Router,
}

impl Internal {
    /// Opens the port.
    ///
    /// # Errors
    /// When it is configured wrongly, or taken.
    pub async fn open(release: Release, metrics: Metrics) -> Result<Self, InternalError> {
        let address = address::internal_from_environment()?;
        let listener = TcpListener::bind(address).await.map_err(InternalError::Port)?;
        let at = listener.local_addr().map_err(InternalError::Port)?;
        tracing::info!(%at, "metrics are served");
        let router = Router::new()
            .route("/metrics", get(metrics::scrape).with_state(metrics))
            .route("/version", get(async move || Json(release.clone())));
        Ok(Self { listener, router })
    }

    /// Serves until `drain` begins. A failure is logged and doesn't end the service.
    pub async fn serve(self, drain: &Drain) {
        if let Err(error) = serve(self.listener, self.router, drain).await {
            tracing::error!(%error, "the metrics port failed");
        }
    }
}
