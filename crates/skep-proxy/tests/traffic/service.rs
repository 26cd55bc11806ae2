//! Layer 4.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
};

use skep_proxy::{ServiceProxy, ServiceRoute};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{loopback, until};

/// Says its name and then echoes, until the client stops; then says goodbye.
async fn echo(name: &'static str, ip: IpAddr) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accept");
            tokio::spawn(async move {
                stream.write_all(name.as_bytes()).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await?;
                to.write_all(b"bye").await?;
                to.shutdown().await
            });
        }
    });
    (address, task)
}

async fn free_port(ip: IpAddr) -> SocketAddr {
    TcpListener::bind((ip, 0)).await.expect("a free port").local_addr().expect("bound")
}

fn route(listen: SocketAddr, backends: &[SocketAddr]) -> ServiceRoute {
    ServiceRoute { name: "test".to_owned(), listen, backends: backends.to_vec() }
}

async fn greeting(listen: SocketAddr) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(listen).await.expect("the proxy listens");
    let mut name = [0; 1];
    stream.read_exact(&mut name).await.expect("a greeting");
    (stream, String::from_utf8_lossy(&name).into_owned())
}

#[tokio::test]
async fn takes_backends_in_turn_and_steps_over_those_that_refuse() {
    let proxy = ServiceProxy::start();
    let listen = free_port(loopback()).await;
    let (a, _a) = echo("a", loopback()).await;
    let (b, _b) = echo("b", loopback()).await;
    let dead = free_port(loopback()).await;
    assert!(proxy.set(vec![route(listen, &[a, dead, b])]).await.is_empty());
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(greeting(listen).await.1);
    }
    names.sort();
    assert!(names.iter().filter(|name| *name == "a").count() >= 2, "{names:?}");
    assert!(names.iter().filter(|name| *name == "b").count() >= 2, "{names:?}");
    proxy.shutdown().await;
}

#[tokio::test]
async fn a_half_closed_connection_still_carries_the_other_half() {
    let proxy = ServiceProxy::start();
    let listen = free_port(loopback()).await;
    let (a, _a) = echo("a", loopback()).await;
    proxy.set(vec![route(listen, &[a])]).await;
    let (mut stream, _) = greeting(listen).await;
    let sent = vec![7; 1_000_000];
    let (mut from, mut to) = stream.split();
    let mut received = Vec::new();
    let write = async {
        to.write_all(&sent).await?;
        to.shutdown().await
    };
    let (written, read) = tokio::join!(write, from.read_to_end(&mut received));
    written.expect("everything goes");
    read.expect("everything comes");
    assert_eq!(received.len(), sent.len() + 3);
    assert!(received.ends_with(b"bye"));
    proxy.shutdown().await;
}

#[tokio::test]
async fn without_backends_connections_are_refused_and_with_them_accepted_again() {
    let proxy = ServiceProxy::start();
    let listen = free_port(loopback()).await;
    let (a, _a) = echo("a", loopback()).await;
    proxy.set(vec![route(listen, &[])]).await;
    let refused = TcpStream::connect(listen).await.expect_err("nobody is there");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    for _ in 0..3 {
        assert!(proxy.set(vec![route(listen, &[a])]).await.is_empty(), "the port is free again at once");
        assert_eq!(greeting(listen).await.1, "a");
        proxy.set(vec![]).await;
    }
    proxy.shutdown().await;
}

#[tokio::test]
async fn a_route_that_cannot_listen_is_told_and_tried_again() {
    let proxy = ServiceProxy::start();
    let taken = TcpListener::bind((loopback(), 0)).await.expect("a free port");
    let (clash, fine) = (taken.local_addr().expect("bound"), free_port(loopback()).await);
    let (a, _a) = echo("a", loopback()).await;
    let table = vec![route(clash, &[a]), route(fine, &[a])];
    let failed = proxy.set(table.clone()).await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].listen, clash);
    assert!(failed[0].to_string().contains("another process"), "{}", failed[0]);
    assert_eq!(greeting(fine).await.1, "a");
    drop(taken);
    assert!(proxy.set(table).await.is_empty());
    assert_eq!(greeting(clash).await.1, "a");
    proxy.shutdown().await;
}

#[tokio::test]
async fn a_released_backend_keeps_its_connections_and_gets_no_new_ones() {
    let proxy = ServiceProxy::start();
    let listen = free_port(loopback()).await;
    let (a, _a) = echo("a", loopback()).await;
    proxy.set(vec![route(listen, &[a])]).await;
    let (mut old, _) = greeting(listen).await;
    proxy.release(a.ip()).await;
    // The only backend is barred, and a table made before the release changes nothing.
    proxy.set(vec![route(listen, &[a])]).await;
    let mut new = TcpStream::connect(listen).await.expect("the proxy still listens");
    let error = new.read_u8().await.expect_err("nobody to talk to");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{error}");
    old.write_all(b"x").await.expect("the old connection works");
    assert_eq!(old.read_u8().await.expect("an echo"), b'x');
    proxy.sever(a.ip());
    until("a severed connection ends", async || old.read_u8().await.is_err()).await;
    // The address is given to a new pod.
    proxy.admit(a.ip());
    assert_eq!(greeting(listen).await.1, "a");
    proxy.shutdown().await;
}

#[tokio::test]
async fn shutdown_ends_everything() {
    let proxy = ServiceProxy::start();
    let listen = free_port(loopback()).await;
    let (a, _a) = echo("a", loopback()).await;
    proxy.set(vec![route(listen, &[a])]).await;
    let (mut open, _) = greeting(listen).await;
    proxy.shutdown().await;
    assert!(open.read_u8().await.is_err());
    TcpStream::connect(listen).await.expect_err("nobody listens");
    assert!(proxy.set(vec![route(listen, &[a])]).await.is_empty());
    TcpStream::connect(listen).await.expect_err("it stays shut down");
}
