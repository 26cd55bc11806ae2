//! The HTTPS side: a request becomes a call of [`Resources`], its answer what kubectl and kube-rs expect on the wire.
//!
//! Start at [`ApiServer::serve`]; [`answer`](self::answer) finds what a request is about.

mod answer;
mod body;
mod credentials;
mod logs;
mod query;
mod read;
mod review;
mod route;
mod stream;
mod view;
mod write;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use credentials::CredentialsError;
pub use logs::{LogRequest, PodLogs};

use crate::resources::Resources;
use credentials::Credentials;

/// A client that does not finish its handshake in this time is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests may take to end after a shutdown.
const DRAIN: Duration = Duration::from_secs(2);

/// How the API is served.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Holds `ca/` (certificates, keys and the token, 0600) and `kubeconfig` (0600).
    pub state_dir: PathBuf,
    /// DNS names and addresses that the certificate is for, besides `localhost` and `127.0.0.1`.
    pub names: Vec<String>,
}

/// Why the API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Certificates, token or kubeconfig can't be made or read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The address can't be listened on.
    #[error("the API can't listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What every request needs.
pub(crate) struct Context {
    pub(crate) resources: Resources,
    pub(crate) logs: Arc<dyn PodLogs>,
    pub(crate) token: String,
    /// Cancelled when streams must end.
    pub(crate) ending: CancellationToken,
}

/// A running API server.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    kubeconfig: PathBuf,
    ending: CancellationToken,
    accepting: JoinHandle<()>,
}

impl ApiServer {
    /// Listens, writes the kubeconfig, and answers until [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    /// When the address is taken, or the state directory can't hold the credentials.
    pub async fn serve(
        config: ServeConfig,
        resources: Resources,
        logs: Arc<dyn PodLogs>,
    ) -> Result<Self, ServeError> {
        let credentials = Credentials::load(&config.state_dir, &config.names)?;
        let listening = |source| ServeError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let kubeconfig = config.state_dir.join("kubeconfig");
        credentials.write_kubeconfig(&kubeconfig, address)?;
        let ending = CancellationToken::new();
        let context =
            Arc::new(Context { resources, logs, token: credentials.token.clone(), ending: ending.clone() });
        let acceptor = TlsAcceptor::from(credentials.tls()?);
        let accepting = tokio::spawn(accept(listener, acceptor, context));
        Ok(Self { address, kubeconfig, ending, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file that lets kubectl in.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Ends watches, lets requests finish for a moment, and stops.
    pub async fn shutdown(self) {
        self.ending.cancel();
        // A panic in the accept loop has been reported by the runtime already.
        _ = self.accepting.await;
    }
}

/// The API without a listener and without TLS: for whoever has connections of its own, in the same process say.
#[derive(Clone)]
pub struct ApiConnections(Arc<Context>);

impl std::fmt::Debug for ApiConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiConnections")
    }
}

impl ApiConnections {
    /// Whoever brings `token` as its bearer is let in.
    #[must_use]
    pub fn new(resources: Resources, logs: Arc<dyn PodLogs>, token: String) -> Self {
        Self(Arc::new(Context { resources, logs, token, ending: CancellationToken::new() }))
    }

    /// Answers what comes over a connection, until it ends.
    pub async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        speak(stream, self.0.clone()).await;
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, context: Arc<Context>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = context.ending.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: the loop must not spin until some are free.
                    tracing::warn!(%error, "a connection to the API can't be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        connections.spawn(connection(stream, acceptor.clone(), context.clone()));
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, context: Arc<Context>) {
    _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        tracing::debug!("a connection to the API ended before its TLS handshake");
        return;
    };
    speak(stream, context).await;
}

/// Answers what comes over a connection, until it ends.
async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, context: Arc<Context>) {
    let ending = context.ending.clone();
    let service = service_fn(move |request| {
        let context = context.clone();
        async move { Ok::<_, io::Error>(answer::answer(&context, request).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the API ended");
    }
}
