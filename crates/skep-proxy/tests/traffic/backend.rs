//! Backends: an HTTP server that can be stopped as a well-behaved pod stops, and the client that asks it.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, body::Incoming, header, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{io::copy, net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

/// A client that keeps connections, as browsers do.
pub(crate) fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Status and text of a GET with a Host header.
pub(crate) async fn get(
    client: &Client<HttpConnector, Body>,
    at: SocketAddr,
    host: &str,
    path: &str,
) -> (u16, String) {
    let request =
        Request::get(format!("http://{at}{path}")).header(header::HOST, host).body(full("")).expect("valid");
    let response = client.request(request).await.expect("a response");
    (response.status().as_u16(), text(response).await)
}

/// An HTTP server that answers with its name, and more on some paths.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    /// Lets one request to `/gate` go on.
    pub(crate) gate: Arc<Notify>,
    /// Told by each request that has come to the gate.
    pub(crate) arrived: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Backend {
    pub(crate) async fn start(name: &str, ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (gate, arrived) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let stop = CancellationToken::new();
        let name = Bytes::from(name.to_owned());
        let task = tokio::spawn(run(listener, name, Arc::clone(&gate), Arc::clone(&arrived), stop.clone()));
        Self { address, gate, arrived, stop, task }
    }

    /// As a pod on SIGTERM: no new connections, idle ones closed, requests in flight answered.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("a clean end");
    }
}

async fn run(
    listener: TcpListener,
    name: Bytes,
    gate: Arc<Notify>,
    arrived: Arc<Notify>,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted.expect("accept"),
            () = stop.cancelled() => break,
        };
        stream.set_nodelay(true).expect("a live socket");
        let (name, gate, arrived) = (name.clone(), Arc::clone(&gate), Arc::clone(&arrived));
        let answer = service_fn(move |request| {
            let (name, gate, arrived) = (name.clone(), Arc::clone(&gate), Arc::clone(&arrived));
            async move { Ok::<_, Infallible>(answer(request, name, &gate, &arrived).await) }
        });
        let server = auto::Builder::new(TokioExecutor::new());
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), answer).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn answer(
    mut request: Request<Incoming>,
    name: Bytes,
    gate: &Notify,
    arrived: &Notify,
) -> Response<Body> {
    match request.uri().path() {
        "/echo" => Response::new(request.into_body().boxed()),
        "/headers" => {
            let mut lines = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")))
                .collect::<Vec<_>>();
            lines.sort();
            let mut response = Response::new(full(lines.join("\n")));
            response.headers_mut().insert("keep-alive", header::HeaderValue::from_static("timeout=5"));
            response.headers_mut().insert("x-answer", header::HeaderValue::from_static("kept"));
            response
        }
        "/gate" => {
            arrived.notify_one();
            gate.notified().await;
            Response::new(full(name))
        }
        "/upgrade" => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let stream = TokioIo::new(upgraded.await.expect("an upgrade"));
                let (mut from, mut to) = tokio::io::split(stream);
                copy(&mut from, &mut to).await
            });
            Response::builder()
                .status(101)
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-accept", "yes")
                .body(full(""))
                .expect("valid")
        }
        _ => {
            // Read to the end, so that the connection can be used again.
            request
                .into_body()
                .collect()
                .await
                .map_or_else(|_| Response::new(full("broken")), |_| Response::new(full(name)))
        }
    }
}
