//! Layer 7: HTTP/1.1 (and HTTP/2 without TLS, for clients that know beforehand) by host and path.
//!
//! `rules` chooses a route, `forward` carries one request to one of its backends over a connection from `pool`, `headers` and
//! `body` are what a proxy must change on the way, `upgrade` is for WebSockets and their like.

mod body;
mod forward;
mod headers;
mod pool;
mod rules;
mod upgrade;

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, Semaphore},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    BindError,
    accept::{accept, listen},
    roster::Roster,
};
use pool::Pool;
use rules::Rules;
pub use rules::{PathType, Rule};

/// Client connections alive at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 8192;
/// How long a client may take to send a request's head, and how long an idle connection to a client is kept.
const CLIENT_IDLE: Duration = Duration::from_secs(75);

/// What an [`Ingress`] is started with.
#[derive(Debug, Clone)]
pub struct IngressConfig {
    /// Addresses to listen on; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// How long one backend may take to accept a connection. 5 s unless told.
    pub connect_timeout: Duration,
    /// How long a backend may take from the last byte of a request to the head of its response. 60 s unless told.
    pub response_timeout: Duration,
    /// How long `shutdown` lets requests in flight go on. 10 s unless told.
    pub drain: Duration,
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// The running layer-7 proxy. Clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Ingress {
    shared: Arc<Shared>,
    addresses: Arc<[SocketAddr]>,
    listeners: Arc<Mutex<JoinSet<()>>>,
}

#[derive(Debug)]
struct Shared {
    config: IngressConfig,
    rules: RwLock<Arc<Rules>>,
    roster: Arc<Roster>,
    pool: Pool,
    /// Every connection, to clients and to backends, and every task that belongs to one.
    tasks: Tasks,
    /// No new connections or requests; those in flight go on.
    draining: CancellationToken,
    /// Everything ends.
    stop: CancellationToken,
}

impl Ingress {
    /// Listens on every address of `config`, with no rules yet.
    ///
    /// # Errors
    /// When one of the addresses cannot be listened on; then none is.
    pub fn start(config: IngressConfig) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for &address in &config.listen {
            let failed = |source| BindError { name: "ingress".to_owned(), listen: address, source };
            let socket = listen(address).map_err(failed)?;
            addresses.push(socket.local_addr().map_err(failed)?);
            sockets.push(socket);
        }
        let shared = Arc::new(Shared {
            config,
            rules: RwLock::default(),
            roster: Arc::default(),
            pool: Pool::default(),
            tasks: Tasks::default(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
        });
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut listeners = JoinSet::new();
        for socket in sockets {
            let held = Arc::clone(&shared);
            let serve = move |stream, peer, permit| {
                let connection = serve(Arc::clone(&held), stream, peer);
                held.tasks.0.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            };
            listeners.spawn(accept(socket, Arc::clone(&permits), shared.draining.clone(), serve));
        }
        listeners.spawn(sweep(Arc::clone(&shared)));
        Ok(Self { shared, addresses: addresses.into(), listeners: Arc::new(Mutex::new(listeners)) })
    }

    /// Where it listens, in the order of the configuration, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Replaces all rules at once. Requests in flight go on, even to backends that are no longer listed.
    pub fn set(&self, rules: Vec<Rule>) {
        let old = self.shared.rules();
        let rules = Arc::new(Rules::new(rules, &old));
        let ips = rules.backends().iter().map(SocketAddr::ip).collect();
        *self.shared.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&rules);
        self.shared.roster.listed(&ips);
        self.shared.pool.retain(|address| rules.backends().contains(&address));
    }

    /// No new request goes to `ip` once this returned (after half a second at most), and idle connections to it are closed.
    pub async fn release(&self, ip: IpAddr) {
        self.shared.roster.bar(ip);
        self.shared.pool.retain(|address| address.ip() != ip);
        self.shared.roster.settle(ip).await;
    }

    /// `ip` was given to a new pod: an earlier [`release`](Self::release) no longer concerns it.
    pub fn admit(&self, ip: IpAddr) {
        self.shared.roster.admit(ip);
    }

    /// Cuts the connections to `ip`, requests in flight included: whoever had that address is gone.
    pub fn sever(&self, ip: IpAddr) {
        self.shared.pool.retain(|address| address.ip() != ip);
        self.shared.roster.sever(ip);
    }

    /// Stops listening, lets requests in flight finish for as long as the configuration says, then ends the rest.
    /// Upgraded connections have no end of their own and are cut at once.
    pub async fn shutdown(&self) {
        self.shared.draining.cancel();
        let mut listeners = self.listeners.lock().await;
        while listeners.join_next().await.is_some() {}
        self.shared.pool.retain(|_| false);
        self.shared.tasks.0.close();
        if tokio::time::timeout(self.shared.config.drain, self.shared.tasks.0.wait()).await.is_err() {
            self.shared.stop.cancel();
            self.shared.tasks.0.wait().await;
        }
    }
}

impl Shared {
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One client's connection, request after request.
async fn serve(shared: Arc<Shared>, stream: TcpStream, client: SocketAddr) {
    let mut server = auto::Builder::new(shared.tasks.clone());
    server.http1().timer(TokioTimer::new()).header_read_timeout(CLIENT_IDLE);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(256);
    let answer = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(forward::forward(&shared, client, request).await) }
    });
    let mut connection = std::pin::pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), answer));
    let finished = tokio::select! {
        finished = connection.as_mut() => Some(finished),
        () = shared.draining.cancelled() => None,
    };
    let finished = match finished {
        Some(finished) => finished,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                finished = connection => finished,
                () = shared.stop.cancelled() => return,
            }
        }
    };
    if let Err(error) = finished {
        tracing::trace!(%error, %client, "client connection broke");
    }
}

/// Closes connections to backends that have been idle for too long.
async fn sweep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(pool::IDLE / 2);
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.pool.sweep(),
            () = shared.draining.cancelled() => return,
        }
    }
}

/// Where hyper's own tasks (HTTP/2 streams) run, so that they too are awaited.
#[derive(Debug, Clone, Default)]
struct Tasks(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
