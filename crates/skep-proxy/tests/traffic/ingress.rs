//! Layer 7.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, StreamBody};
use hyper::{Request, body::Frame, header};
use hyper_util::rt::TokioExecutor;
use skep_proxy::{Ingress, IngressConfig, PathType, Rule};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    SOON,
    backend::{Backend, Body, client, full, get, text},
    loopback, until,
};

pub(crate) fn start() -> Ingress {
    start_with(|_| {})
}

fn start_with(change: impl FnOnce(&mut IngressConfig)) -> Ingress {
    let mut config =
        IngressConfig { listen: vec![(Ipv4Addr::LOCALHOST, 0).into()], ..IngressConfig::default() };
    change(&mut config);
    Ingress::start(config).expect("a free port")
}

pub(crate) fn rule(host: &str, path: &str, backends: &[SocketAddr]) -> Rule {
    Rule {
        name: format!("test/{host}"),
        host: Some(host.to_owned()),
        path: path.to_owned(),
        path_type: PathType::Prefix,
        backends: backends.to_vec(),
    }
}

#[tokio::test]
async fn routes_by_host_and_path_and_says_what_it_knows() {
    let (api, web) = (Backend::start("api", loopback()).await, Backend::start("web", loopback()).await);
    let ingress = start();
    let (at, client) = (ingress.addresses()[0], client());
    let (status, page) = get(&client, at, "app.localhost", "/").await;
    assert_eq!((status, page.lines().last()), (404, Some("there are no rules yet")));
    ingress.set(vec![
        rule("app.localhost", "/", &[web.address]),
        rule("app.localhost", "/api", &[api.address]),
        rule("*.wild.localhost", "/", &[]),
    ]);
    assert_eq!(get(&client, at, "app.localhost:8080", "/").await, (200, "web".to_owned()));
    assert_eq!(get(&client, at, "app.localhost", "/api/v1").await, (200, "api".to_owned()));
    assert_eq!(get(&client, at, "app.localhost", "/apis").await, (200, "web".to_owned()));
    let (status, page) = get(&client, at, "a.wild.localhost", "/").await;
    assert_eq!(status, 503, "{page}");
    assert!(page.contains("test/*.wild.localhost has no ready backend"), "{page}");
    let (status, page) = get(&client, at, "other", "/x").await;
    assert_eq!(status, 404);
    assert_eq!(page, "no ingress rule covers other/x\nhosts with rules: *.wild.localhost, app.localhost\n");
    ingress.shutdown().await;
}

#[tokio::test]
async fn tells_the_backend_who_asked_and_keeps_what_concerns_one_connection() {
    let backend = Backend::start("a", loopback()).await;
    let ingress = start();
    ingress.set(vec![rule("app.localhost", "/", &[backend.address])]);
    let mut stream = TcpStream::connect(ingress.addresses()[0]).await.expect("it listens");
    let request = "GET /headers HTTP/1.1\r\nHost: app.localhost\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: gzip\r\n\
                   Keep-Alive: 5\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("closed after the response");
    let (head, body) = response.split_once("\r\n\r\n").expect("head and body");
    assert!(head.contains("x-answer: kept") && !head.contains("keep-alive"), "{head}");
    assert_eq!(
        body,
        "host: app.localhost\nx-forwarded-for: 203.0.113.9, 127.0.0.1\nx-forwarded-host: app.localhost\n\
         x-forwarded-proto: http"
    );
    ingress.shutdown().await;
}

#[tokio::test]
async fn bodies_stream_both_ways_before_either_ends() {
    let backend = Backend::start("a", loopback()).await;
    let ingress = start();
    ingress.set(vec![rule("app.localhost", "/", &[backend.address])]);
    let (to, from) = tokio::sync::mpsc::channel::<Result<Frame<bytes::Bytes>, hyper::Error>>(1);
    let body: Body = BodyExt::boxed(StreamBody::new(ReceiverStream(from)));
    let request = Request::post(format!("http://{}/echo", ingress.addresses()[0]));
    let request = request.header(header::HOST, "app.localhost").body(body).expect("valid");
    let client = client();
    to.send(Ok(Frame::data("one".into()))).await.expect("taken");
    let mut response = client.request(request).await.expect("a head while the request still goes on");
    for piece in ["one", "two", "three"] {
        if piece != "one" {
            to.send(Ok(Frame::data(piece.into()))).await.expect("taken");
        }
        let frame = response.body_mut().frame().await.expect("more").expect("intact");
        assert_eq!(frame.into_data().expect("data"), piece);
    }
    drop(to);
    assert!(response.body_mut().frame().await.is_none());
    ingress.shutdown().await;
}

struct ReceiverStream<T>(tokio::sync::mpsc::Receiver<T>);

impl<T> futures::Stream for ReceiverStream<T> {
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}

#[tokio::test]
async fn websockets_pass() {
    let backend = Backend::start("a", loopback()).await;
    let ingress = start();
    ingress.set(vec![rule("app.localhost", "/", &[backend.address])]);
    let mut stream = TcpStream::connect(ingress.addresses()[0]).await.expect("it listens");
    let request = "GET /upgrade HTTP/1.1\r\nHost: app.localhost\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8_lossy(&head);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("upgrade: websocket") && head.contains("sec-websocket-accept: yes"), "{head}");
    for message in ["ping", "pong"] {
        stream.write_all(message.as_bytes()).await.expect("sent");
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).await.expect("echoed");
        assert_eq!(&echoed, message.as_bytes());
    }
    let begun = Instant::now();
    ingress.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "an open WebSocket does not hold up the end");
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn http2_by_prior_knowledge() {
    let backend = Backend::start("a", loopback()).await;
    let ingress = start();
    let at = ingress.addresses()[0];
    ingress.set(vec![rule("127.0.0.1", "/", &[backend.address])]);
    let client =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for _ in 0..3 {
        let request = Request::post(format!("http://{at}/echo")).body(full("over two")).expect("valid");
        let response = client.request(request).await.expect("a response");
        assert_eq!(response.version(), hyper::Version::HTTP_2);
        assert_eq!(text(response).await, "over two");
    }
    drop(client);
    ingress.shutdown().await;
}

#[tokio::test]
async fn steps_over_a_backend_that_refuses() {
    let backend = Backend::start("alive", loopback()).await;
    let dead = TcpListener::bind((loopback(), 0)).await.expect("a port").local_addr().expect("bound");
    let ingress = start();
    let (at, client) = (ingress.addresses()[0], client());
    ingress.set(vec![rule("app.localhost", "/", &[dead, backend.address])]);
    for _ in 0..4 {
        assert_eq!(get(&client, at, "app.localhost", "/").await, (200, "alive".to_owned()));
    }
    ingress.set(vec![rule("app.localhost", "/", &[dead])]);
    let (status, page) = get(&client, at, "app.localhost", "/").await;
    assert_eq!(status, 502);
    assert!(page.contains(&dead.to_string()) && page.contains("refused"), "{page}");
    ingress.shutdown().await;
}

/// Accepts, reads a request's head, and says `answer` before it closes. Returns how many requests came.
async fn raw(ip: IpAddr, answer: &'static str) -> (SocketAddr, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (count, counted) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            count.send_modify(|count| *count += 1);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    (address, counted)
}

#[tokio::test]
async fn what_may_have_happened_is_not_done_twice() {
    let (broken, count) = raw(loopback(), "").await;
    let ingress = start();
    ingress.set(vec![rule("app.localhost", "/", &[broken])]);
    let url = format!("http://{}/", ingress.addresses()[0]);
    let client = client();
    let post = Request::post(&url).header(header::HOST, "app.localhost").body(full("")).expect("valid");
    let response = client.request(post).await.expect("a response");
    assert_eq!(response.status(), 502);
    let page = text(response).await;
    assert!(page.contains("broke the connection"), "{page}");
    assert_eq!(*count.borrow(), 1, "a POST is not sent again");
    let (status, _) = get(&client, ingress.addresses()[0], "app.localhost", "/").await;
    assert_eq!(status, 502);
    assert_eq!(*count.borrow(), 3, "a GET is sent again, once");
    ingress.shutdown().await;
}

#[tokio::test]
async fn a_silent_backend_is_given_up() {
    let silent = TcpListener::bind((loopback(), 0)).await.expect("a port");
    let ingress = start_with(|config| config.response_timeout = Duration::from_millis(50));
    ingress.set(vec![rule("app.localhost", "/", &[silent.local_addr().expect("bound")])]);
    let (status, page) = get(&client(), ingress.addresses()[0], "app.localhost", "/").await;
    assert_eq!(status, 504, "{page}");
    ingress.shutdown().await;
}

#[tokio::test]
async fn a_released_backend_finishes_what_it_has_and_gets_nothing_new() {
    let old = Backend::start("old", loopback()).await;
    let ingress = start();
    let (at, client) = (ingress.addresses()[0], client());
    ingress.set(vec![rule("app.localhost", "/", &[old.address])]);
    let in_flight = {
        let client = client.clone();
        tokio::spawn(async move { get(&client, at, "app.localhost", "/gate").await })
    };
    tokio::time::timeout(SOON, old.arrived.notified()).await.expect("the request has come");
    // A second connection, idle in the pool now.
    assert_eq!(get(&client, at, "app.localhost", "/").await.0, 200);
    let begun = Instant::now();
    ingress.release(old.address.ip()).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "a slow request does not hold up the release");
    assert_eq!(get(&client, at, "app.localhost", "/").await.0, 503);
    // The backend's graceful end waits for its connections: the idle one has been closed, the other is answered.
    old.gate.notify_one();
    assert_eq!(in_flight.await.expect("no panic"), (200, "old".to_owned()));
    tokio::time::timeout(SOON, old.stop()).await.expect("nothing keeps it");
    ingress.shutdown().await;
}

#[tokio::test]
async fn severing_ends_what_waits_for_a_pod_that_is_gone() {
    let gone = Backend::start("gone", loopback()).await;
    let ingress = start();
    let at = ingress.addresses()[0];
    ingress.set(vec![rule("app.localhost", "/", &[gone.address])]);
    let waiting = tokio::spawn(async move { get(&client(), at, "app.localhost", "/gate").await });
    tokio::time::timeout(SOON, gone.arrived.notified()).await.expect("the request has come");
    ingress.release(gone.address.ip()).await;
    ingress.sever(gone.address.ip());
    let (status, page) = tokio::time::timeout(SOON, waiting).await.expect("at once").expect("no panic");
    assert!(status == 502 || status == 503, "{status} {page}");
    ingress.shutdown().await;
}

#[tokio::test]
async fn shutdown_lets_requests_in_flight_finish() {
    let backend = Backend::start("a", loopback()).await;
    let ingress = start();
    let at = ingress.addresses()[0];
    ingress.set(vec![rule("app.localhost", "/", &[backend.address])]);
    let in_flight = tokio::spawn(async move { get(&client(), at, "app.localhost", "/gate").await });
    tokio::time::timeout(SOON, backend.arrived.notified()).await.expect("the request has come");
    let ended = tokio::spawn(async move { ingress.shutdown().await });
    until("it stops listening", async || TcpStream::connect(at).await.is_err()).await;
    backend.gate.notify_one();
    assert_eq!(in_flight.await.expect("no panic"), (200, "a".to_owned()));
    tokio::time::timeout(SOON, ended).await.expect("nothing is left").expect("no panic");
}
