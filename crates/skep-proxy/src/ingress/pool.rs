//! Connections to backends: made when needed, kept for a moment after use.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{Shared, body::RequestBody};
use crate::accept::connect;

/// How long an unused connection is kept. Less than the shortest keep-alive of common servers (5 s: Node, uvicorn), because
/// the side that closes first must not be the one that a request is on its way to.
pub(super) const IDLE: Duration = Duration::from_secs(4);

/// Reuse only within this for a request that could not be sent again: a second covers bursts, and servers that close
/// idle connections sooner than that are not to be met.
pub(super) const IDLE_ONCE: Duration = Duration::from_secs(1);

pub(super) type Sender = SendRequest<RequestBody>;

/// Idle connections by backend, the most recently used last.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<SocketAddr, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<Idle>>> {
        // A list of connections is valid whatever was interrupted: at worst one is missing.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection to `backend` that was used within `max_idle`.
    pub(super) fn take(&self, backend: SocketAddr, max_idle: Duration) -> Option<Sender> {
        let mut idle = self.idle();
        let list = idle.get_mut(&backend)?;
        while let Some(candidate) = list.pop() {
            if candidate.sender.is_ready() {
                if candidate.since.elapsed() <= max_idle {
                    return Some(candidate.sender);
                }
                // The others are older still, but good enough for other requests.
                list.push(candidate);
                return None;
            }
        }
        None
    }

    /// Closes the connections whose backend does not pass.
    pub(super) fn retain(&self, keep: impl Fn(SocketAddr) -> bool) {
        self.idle().retain(|&backend, _| keep(backend));
    }

    /// Closes what has been idle for [`IDLE`].
    pub(super) fn sweep(&self) {
        self.idle().retain(|_, list| {
            list.retain(|idle| idle.since.elapsed() < IDLE && !idle.sender.is_closed());
            !list.is_empty()
        });
    }
}

/// A new connection to `backend`; its task ends when the backend is severed, the proxy stops, or nobody sends on it any more.
pub(super) async fn open(shared: &Arc<Shared>, backend: SocketAddr) -> io::Result<Sender> {
    let stream = connect(backend, shared.config.connect_timeout).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let tether = shared.roster.tether(backend.ip());
    let stop = shared.stop.clone();
    shared.tasks.0.spawn(async move {
        tokio::select! {
            ended = connection.with_upgrades() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, %backend, "backend connection broke");
                }
            }
            () = tether.cancelled() => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(sender)
}

/// Gives a connection back once its response has been read to the end, unless its backend has been let go of by then.
pub(super) fn put_back(shared: &Arc<Shared>, backend: SocketAddr, mut sender: Sender) {
    let held = Arc::clone(shared);
    shared.tasks.0.spawn(async move {
        if sender.ready().await.is_err() {
            return;
        }
        let listed = held.rules().backends().contains(&backend);
        let mut idle = held.pool.idle();
        // Asked under the pool's lock: `release` bars first and clears the pool second, so that either it finds this
        // connection or this finds the bar.
        if listed && !held.roster.is_barred(backend.ip()) && !held.draining.is_cancelled() {
            idle.entry(backend).or_default().push(Idle { sender, since: Instant::now() });
        }
    });
}
