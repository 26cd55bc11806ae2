//! Layer 4: from a Service's address to one of its backends, byte for byte.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    net::TcpStream,
    sync::{Mutex, Semaphore},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    BindError,
    accept::{accept, connect, listen, reset},
    roster::{Roster, Visit},
};

/// Connections alive at once over all routes; further clients wait in the kernel's queues.
const CONNECTIONS: usize = 8192;
/// How long one backend may take to accept before the next is tried.
const CONNECT: Duration = Duration::from_secs(3);
/// Bytes in flight per direction of a connection.
const BUFFER: usize = 32 * 1024;

/// One listening address and where its connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRoute {
    /// For messages, e.g. `honeydue/api:http`.
    pub name: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Taken in turn. When empty, nothing listens: clients see `connection refused`, as from kube-proxy.
    pub backends: Vec<SocketAddr>,
}

/// The running layer-4 proxy. Clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct ServiceProxy {
    shared: Arc<Shared>,
    listeners: Arc<Mutex<HashMap<SocketAddr, Listener>>>,
}

#[derive(Debug)]
struct Shared {
    roster: Arc<Roster>,
    permits: Arc<Semaphore>,
    connections: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Listener {
    route: Arc<Route>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Route {
    name: String,
    backends: RwLock<Arc<[SocketAddr]>>,
    next: AtomicUsize,
}

impl ServiceProxy {
    /// A proxy with an empty table.
    pub fn start() -> Self {
        Self {
            shared: Arc::new(Shared {
                roster: Arc::default(),
                permits: Arc::new(Semaphore::new(CONNECTIONS)),
                connections: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
            listeners: Arc::default(),
        }
    }

    /// Replaces the whole table. Returns the routes that could not listen; they are tried again at the next call, the
    /// others work. Connections that are established stay, even if their backend or route is no longer listed.
    pub async fn set(&self, table: Vec<ServiceRoute>) -> Vec<BindError> {
        let ips = table.iter().flat_map(|route| &route.backends).map(SocketAddr::ip).collect::<HashSet<_>>();
        self.shared.roster.listed(&ips);
        let mut listeners = self.listeners.lock().await;
        if self.shared.stop.is_cancelled() {
            return Vec::new();
        }
        let wanted = table.iter().filter(|route| !route.backends.is_empty()).map(|route| route.listen);
        let wanted = wanted.collect::<HashSet<_>>();
        let unwanted =
            listeners.extract_if(|address, _| !wanted.contains(address)).map(|(_, listener)| listener);
        for listener in unwanted.collect::<Vec<_>>() {
            listener.close().await;
        }
        let mut seen = HashSet::new();
        let mut failed = Vec::new();
        for route in table.into_iter().filter(|route| !route.backends.is_empty()) {
            let ServiceRoute { name, listen: address, backends } = route;
            if !seen.insert(address) {
                let source = io::Error::from(io::ErrorKind::AddrInUse);
                failed.push(BindError { name, listen: address, source });
            } else if let Some(listener) = listeners.get(&address) {
                listener.route.replace(backends);
            } else {
                match self.open(name.clone(), address, backends) {
                    Ok(listener) => drop(listeners.insert(address, listener)),
                    Err(source) => failed.push(BindError { name, listen: address, source }),
                }
            }
        }
        failed
    }

    /// No new connection goes to `ip` once this returned (after half a second at most); established ones stay.
    pub async fn release(&self, ip: IpAddr) {
        self.shared.roster.bar(ip);
        self.shared.roster.settle(ip).await;
    }

    /// `ip` was given to a new pod: an earlier [`release`](Self::release) no longer concerns it.
    pub fn admit(&self, ip: IpAddr) {
        self.shared.roster.admit(ip);
    }

    /// Cuts the connections to `ip`: whoever had that address is gone.
    pub fn sever(&self, ip: IpAddr) {
        self.shared.roster.sever(ip);
    }

    /// Closes every listener and connection.
    pub async fn shutdown(&self) {
        let mut listeners = self.listeners.lock().await;
        self.shared.stop.cancel();
        for (_, listener) in listeners.drain() {
            listener.close().await;
        }
        self.shared.connections.close();
        self.shared.connections.wait().await;
    }

    fn open(&self, name: String, address: SocketAddr, backends: Vec<SocketAddr>) -> io::Result<Listener> {
        let socket = listen(address)?;
        let route =
            Arc::new(Route { name, backends: RwLock::new(backends.into()), next: AtomicUsize::new(0) });
        let stop = self.shared.stop.child_token();
        let serve = {
            let (shared, route) = (Arc::clone(&self.shared), Arc::clone(&route));
            move |client, _, permit| {
                let carried = carry(Arc::clone(&shared), Arc::clone(&route), client);
                shared.connections.spawn(async move {
                    carried.await;
                    drop(permit);
                });
            }
        };
        let task = tokio::spawn(accept(socket, Arc::clone(&self.shared.permits), stop.clone(), serve));
        Ok(Listener { route, stop, task })
    }
}

impl Listener {
    /// Returns when the port is free again.
    async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, route = self.route.name, "a listener ended badly");
        }
    }
}

impl Route {
    fn replace(&self, backends: Vec<SocketAddr>) {
        *self.backends.write().unwrap_or_else(PoisonError::into_inner) = backends.into();
    }

    /// Connects to the first backend that accepts, each in its turn.
    async fn connect(&self, roster: &Arc<Roster>) -> Option<(TcpStream, SocketAddr, Visit)> {
        let backends = Arc::clone(&self.backends.read().unwrap_or_else(PoisonError::into_inner));
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for turn in 0..backends.len() {
            let backend = backends[first.wrapping_add(turn) % backends.len()];
            let Some(visit) = roster.enter(backend.ip()) else {
                continue;
            };
            match connect(backend, CONNECT).await {
                Ok(stream) => return Some((stream, backend, visit)),
                Err(error) => tracing::debug!(%error, %backend, route = self.name, "backend does not accept"),
            }
        }
        None
    }
}

/// One connection from its first byte to its last.
async fn carry(shared: Arc<Shared>, route: Arc<Route>, mut client: TcpStream) {
    let connected = tokio::select! {
        connected = route.connect(&shared.roster) => connected,
        () = shared.stop.cancelled() => None,
    };
    let Some((backend, address, visit)) = connected else {
        return reset(client);
    };
    let tether = shared.roster.tether(address.ip());
    let mut backend = Answering { stream: backend, visit: Some(visit) };
    tokio::select! {
        ended = copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER, BUFFER) => {
            if let Err(error) = ended {
                tracing::trace!(%error, backend = %address, route = route.name, "connection broke");
            }
        }
        () = tether.cancelled() => {}
        () = shared.stop.cancelled() => {}
    }
}

/// A backend's stream that ends the visit at the first byte that comes back.
struct Answering {
    stream: TcpStream,
    visit: Option<Visit>,
}

impl AsyncRead for Answering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.visit = None;
        }
        read
    }
}

impl AsyncWrite for Answering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
