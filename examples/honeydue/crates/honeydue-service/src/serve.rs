//! Serving a router until the process is told to leave.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use crate::Drain;

/// Why a service stopped other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed.
    #[error("the listener failed")]
    Listener(#[source] std::io::Error),
    /// Requests were still under way when patience was over.
    #[error("requests were cut off: they took longer than the grace period")]
    CutOff,
}

/// Serves until `drain` begins, then finishes the requests that are under way: idle connections are closed, busy ones after
/// their answer.
///
/// # Errors
/// When the listener fails, or requests had to be cut off.
pub async fn serve(listener: TcpListener, router: Router, drain: &Drain) -> Result<(), ServeError> {
    let begun = drain.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move { begun.begun().await });
    tokio::select! {
        ended = server.into_future() => ended.map_err(ServeError::Listener),
        () = drain.over() => Err(ServeError::CutOff),
    }
}
