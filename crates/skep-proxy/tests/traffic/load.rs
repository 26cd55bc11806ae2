//! Under load: no request fails while backends come and go, as in a rolling update.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{Method, Request, header};
use skep_proxy::{ServiceProxy, ServiceRoute};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    backend::{Backend, client, full, text},
    ingress::{rule, start},
    loopback,
};

const CLIENTS: usize = 8;
const LENGTH: Duration = Duration::from_secs(4);
/// 200 a second; a machine that is busy with other things is given longer for them.
const LEAST: usize = 800;
const LEAST_SWAPS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(40);

/// What the clients have seen.
#[derive(Default)]
struct Tally {
    done: AtomicBool,
    answered: AtomicUsize,
    failures: std::sync::Mutex<Vec<String>>,
}

impl Tally {
    fn count(&self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
            Err(failure) => self.failures.lock().expect("not poisoned").push(failure),
        }
    }

    fn wants_more(&self, begun: Instant, swaps: usize) -> bool {
        let enough = self.answered.load(Ordering::Relaxed) >= LEAST && swaps >= LEAST_SWAPS;
        begun.elapsed() < LENGTH || (!enough && begun.elapsed() < PATIENCE)
    }

    #[expect(clippy::print_stdout, reason = "the rate is worth seeing when the test is run by hand")]
    fn check(&self, begun: Instant, swaps: usize) {
        let failures = self.failures.lock().expect("not poisoned");
        let answered = self.answered.load(Ordering::Relaxed);
        let seconds = begun.elapsed().as_secs_f64();
        println!("{answered} requests in {seconds:.1} s while {swaps} backends were replaced");
        assert!(
            failures.is_empty(),
            "{} of {answered} failed, first: {:?}",
            failures.len(),
            failures.first()
        );
        assert!(
            answered >= LEAST && swaps >= LEAST_SWAPS,
            "only {answered} requests and {swaps} replacements in {seconds:.1} s"
        );
    }
}

async fn ask(client: &HttpClient, at: SocketAddr, method: Method) -> Result<(), String> {
    let body = if method == Method::POST { "a body" } else { "" };
    let request = Request::builder().method(&method).uri(format!("http://{at}/"));
    let request = request.header(header::HOST, "app.localhost").body(full(body)).expect("valid");
    let response = client.request(request).await.map_err(|error| format!("{method}: {error:?}"))?;
    let status = response.status();
    let page = text(response).await;
    if status == 200 { Ok(()) } else { Err(format!("{method}: {status} {page}")) }
}

pub(crate) type HttpClient = hyper_util::client::legacy::Client<
    hyper_util::client::legacy::connect::HttpConnector,
    crate::backend::Body,
>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_requests_of_either_kind_survive_rolling_updates() {
    let ingress = start();
    let at = ingress.addresses()[0];
    let mut fleet = vec![Backend::start("0", loopback()).await, Backend::start("1", loopback()).await];
    let addresses = |fleet: &[Backend]| fleet.iter().map(|backend| backend.address).collect::<Vec<_>>();
    ingress.set(vec![rule("app.localhost", "/", &addresses(&fleet))]);
    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let tally = Arc::clone(&tally);
        clients.spawn(async move {
            let client = client();
            let method = if number % 2 == 0 { Method::GET } else { Method::POST };
            while !tally.done.load(Ordering::Relaxed) {
                tally.count(ask(&client, at, method.clone()).await);
            }
        });
    }
    let (begun, mut swaps) = (Instant::now(), 0);
    while tally.wants_more(begun, swaps) {
        let seen = tally.answered.load(Ordering::Relaxed);
        fleet.push(Backend::start("new", loopback()).await);
        ingress.set(vec![rule("app.localhost", "/", &addresses(&fleet))]);
        let old = fleet.remove(0);
        let ip = old.address.ip();
        ingress.release(ip).await;
        // As hive does it: SIGTERM first, the slice without the pod whenever it comes.
        old.stop().await;
        ingress.set(vec![rule("app.localhost", "/", &addresses(&fleet))]);
        ingress.sever(ip);
        swaps += 1;
        while tally.answered.load(Ordering::Relaxed) < seen + 50 && begun.elapsed() < PATIENCE {
            tokio::task::yield_now().await;
        }
    }
    tally.done.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    tally.check(begun, swaps);
    ingress.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_connections_survive_rolling_updates() {
    let proxy = ServiceProxy::start();
    let listen = TcpListener::bind((loopback(), 0)).await.expect("a port").local_addr().expect("bound");
    let route = |fleet: &[Backend]| {
        let backends = fleet.iter().map(|backend| backend.address).collect();
        vec![ServiceRoute { name: "test".to_owned(), listen, backends }]
    };
    let mut fleet = vec![Backend::start("0", loopback()).await, Backend::start("1", loopback()).await];
    assert!(proxy.set(route(&fleet)).await.is_empty());
    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let tally = Arc::clone(&tally);
        clients.spawn(async move {
            while !tally.done.load(Ordering::Relaxed) {
                tally.count(one_connection(listen).await.map_err(|error| error.to_string()));
            }
        });
    }
    let (begun, mut swaps) = (Instant::now(), 0);
    while tally.wants_more(begun, swaps) {
        let seen = tally.answered.load(Ordering::Relaxed);
        fleet.push(Backend::start("new", loopback()).await);
        assert!(proxy.set(route(&fleet)).await.is_empty());
        let old = fleet.remove(0);
        let ip = old.address.ip();
        proxy.release(ip).await;
        old.stop().await;
        assert!(proxy.set(route(&fleet)).await.is_empty());
        proxy.sever(ip);
        swaps += 1;
        while tally.answered.load(Ordering::Relaxed) < seen + 50 && begun.elapsed() < PATIENCE {
            tokio::task::yield_now().await;
        }
    }
    tally.done.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    tally.check(begun, swaps);
    proxy.shutdown().await;
}

async fn one_connection(at: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    if response.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        Err(std::io::Error::other(format!("{response:?}")))
    }
}

/// Requests per second and latency with and without the proxies in between, all in this process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by name, on a quiet machine"]
async fn measure() {
    let backend = Backend::start("a", loopback()).await;
    let ingress = start();
    ingress.set(vec![rule("app.localhost", "/", &[backend.address])]);
    let proxy = ServiceProxy::start();
    let listen = TcpListener::bind((loopback(), 0)).await.expect("a port").local_addr().expect("bound");
    proxy.set(vec![ServiceRoute { name: "test".to_owned(), listen, backends: vec![backend.address] }]).await;
    for clients in [1, 8] {
        for (name, at) in
            [("direct", backend.address), ("layer 4", listen), ("layer 7", ingress.addresses()[0])]
        {
            let (begun, done) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
            let mut tasks = JoinSet::new();
            for _ in 0..clients {
                let done = Arc::clone(&done);
                tasks.spawn(async move {
                    let client = client();
                    while begun.elapsed() < Duration::from_secs(3) {
                        ask(&client, at, Method::GET).await.expect("an answer");
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
            let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
            let latency = 1e6 * clients as f64 / rate;
            println!("{name}, {clients} clients: {rate:.0} requests/s, {latency:.0} us each");
        }
    }
    ingress.shutdown().await;
    proxy.shutdown().await;
}
