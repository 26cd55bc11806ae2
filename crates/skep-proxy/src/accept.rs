//! Listening sockets and the loop that takes connections from them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// Connections waiting to be accepted; a burst of clients beyond it would see resets.
const BACKLOG: u32 = 1024;

/// How long to leave a listener alone after the process ran out of descriptors: they come back when connections close.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// A listening socket on `address`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Hands every connection to `serve` until `stop`; at most as many are alive as `permits` allows.
pub(crate) async fn accept(
    listener: TcpListener,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr, OwnedSemaphorePermit),
) {
    let connections = async {
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    tune(&stream);
                    serve(stream, peer, permit);
                }
                // A client that gave up while it waited is no trouble of ours.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                }
            }
        }
    };
    tokio::select! {
        () = connections => {}
        () = stop.cancelled() => {}
    }
}

/// Small writes go out at once, and a peer that vanished without a word (its network namespace is gone) is noticed.
pub(crate) fn tune(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    let socket = SockRef::from(stream);
    let tuned = socket.set_tcp_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive));
    if let Err(error) = tuned {
        // Seen only on a connection that is already dead: the next read says so.
        tracing::trace!(%error, "cannot set socket options");
    }
}

/// Closes with a reset, as a packet filter's reject would, so that the client does not take it for an orderly end.
pub(crate) fn reset(stream: TcpStream) {
    if let Err(error) = SockRef::from(&stream).set_linger(Some(Duration::ZERO)) {
        tracing::trace!(%error, "cannot reset, closing instead");
    }
    drop(stream);
}

/// A tuned connection to `backend`, or why there is none within `limit`.
pub(crate) async fn connect(backend: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(limit, TcpStream::connect(backend))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")))??;
    tune(&stream);
    Ok(stream)
}
