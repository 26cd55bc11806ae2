//! A steady load on a URL, which counts every answer: what "zero failed requests" is judged by.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::reach::Reach;

/// Requests under way until [`Load::stop`]; at most for two minutes.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    worker: thread::JoinHandle<Tally>,
}

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Good answers.
    pub good: u64,
    /// What went wrong, each time.
    pub bad: Vec<String>,
    /// How long it ran.
    pub lasted: Duration,
    /// Every different body, in the order in which it was first seen.
    pub bodies: Vec<String>,
}

const LONGEST: Duration = Duration::from_secs(120);
const WORKERS: u64 = 8;

impl Load {
    /// Sends about `rate` requests a second to a path of a host, over kept connections.
    pub(crate) fn start(host: &str, reach: Reach, path: &str, rate: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let ((url, _), host) = (reach.address(host, path), host.to_owned());
        let worker = thread::spawn(move || {
            let port = reach.port();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(run(&url, &host, port, rate, &stopped))
        });
        Self { stop, worker }
    }

    /// Stops it and tells what came of it.
    ///
    /// # Panics
    /// When the load itself panicked.
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.worker.join().expect("the load does not panic")
    }
}

async fn run(url: &str, host: &str, port: u16, rate: u64, stop: &Arc<AtomicBool>) -> Tally {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let here: SocketAddr = ([127, 0, 0, 1], port).into();
    let client = reqwest::Client::builder()
        .resolve(host, here)
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client");
    let began = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    let workers = (0..WORKERS).map(|_| {
        let (client, url, stop, sent) = (client.clone(), url.to_owned(), Arc::clone(stop), Arc::clone(&sent));
        tokio::spawn(async move {
            let mut tally = Tally::default();
            while !stop.load(Ordering::Relaxed) && began.elapsed() < LONGEST {
                // Requests are due by the clock, so that a slow answer is followed by the ones that it held up.
                let due =
                    began + Duration::from_micros(sent.fetch_add(1, Ordering::Relaxed) * 1_000_000 / rate);
                tokio::time::sleep_until(due.into()).await;
                tally.add(ask(&client, &url).await);
            }
            tally
        })
    });
    let mut all = Tally::default();
    for worker in workers.collect::<Vec<_>>() {
        all.merge(worker.await.expect("a worker does not panic"));
    }
    all.lasted = began.elapsed();
    all
}

async fn ask(client: &reqwest::Client, url: &str) -> Result<String, String> {
    let response = client.get(url).send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response.text().await.map_err(|error| format!("{error:?}"))?;
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) }
}

impl Tally {
    /// Good answers a second.
    pub fn rate(&self) -> u64 {
        self.good * 1000 / u64::try_from(self.lasted.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn add(&mut self, answer: Result<String, String>) {
        match answer {
            Ok(body) => {
                self.good += 1;
                if !self.bodies.contains(&body) {
                    self.bodies.push(body);
                }
            }
            Err(error) => self.bad.push(error),
        }
    }

    fn merge(&mut self, other: Self) {
        self.good += other.good;
        self.bad.extend(other.bad);
        for body in other.bodies {
            if !self.bodies.contains(&body) {
                self.bodies.push(body);
            }
        }
    }
}
