//! The service that the end-to-end tests ship. `GET /` answers with the image's release and the greeting of its config, so that a
//! test sees which of both runs; the content of `/release` can make it misbehave:
//!
//! - `crash …`: it prints the rest, panics in words, and exits with 3;
//! - `exit CODE …`: it prints the rest and exits so; `aborts` dies of a signal;
//! - `needs HOST:PORT`: it ends unless something takes its connection there;
//! - `eats`: it takes memory until it is ended;
//! - `never-ready …`: its readiness probe answers 503; `slow SECONDS`: for so long; `flapping`: it answers every other time;
//! - `sickens SECONDS`: it answers 503 from then on; `leaves SECONDS`: it ends then, with 5;
//! - `not-live`: its liveness probe answers 500;
//! - `stumbles COUNT`: it ends so often, noted in `/shared`, before it stays;
//! - `schema …`: without `/shared/schema` it adds a line to `/shared/refusals` and exits with 78.
//!
//! As `migrate MILLIS CODE` it prints a line every 200 ms for so long, then exits so. As `migrate-after-refusals COUNT` it waits
//! until the services of `/shared` have refused so often, then makes the schema that they want.

use std::{
    fs::OpenOptions,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::get};
use tokio::signal::unix::{SignalKind, signal};

const SCHEMA: &str = "/shared/schema";
const REFUSALS: &str = "/shared/refusals";

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a service's log is its standard output")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, millis, code] = arguments.as_slice()
        && command == "migrate"
    {
        return migrate(millis.parse().unwrap_or(0), code.parse().unwrap_or(1)).await;
    }
    if let [command, count] = arguments.as_slice()
        && command == "migrate-after-refusals"
    {
        return migrate_after_refusals(count.parse().unwrap_or(1)).await;
    }
    let release = std::fs::read_to_string("/release").unwrap_or_default().trim().to_owned();
    if let Some(last_words) = release.strip_prefix("crash") {
        println!("starting");
        eprintln!("panic: {}", last_words.trim());
        return ExitCode::from(3);
    }
    if let Some(code) = misbehave(&release).await {
        return code;
    }
    if release.starts_with("schema") && !Path::new(SCHEMA).exists() {
        eprintln!("there is no schema");
        return ExitCode::from(if refuse().is_ok() { 78 } else { 1 });
    }
    let ready = Readiness::of(&release);
    let host = std::env::var("BIND_ADDR").unwrap_or_else(|_| "0.0.0.0".to_owned());
    let Ok(address) = format!("{host}:8000").parse::<SocketAddr>() else {
        eprintln!("BIND_ADDR is no address: {host}");
        return ExitCode::from(2);
    };
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("can't listen on {address}: {error}");
            return ExitCode::from(1);
        }
    };
    println!("release {release} listens on {address}");
    let greeting = std::env::var("GREETING").unwrap_or_default();
    let page = format!("{greeting} from {release}\n");
    let live =
        if release.starts_with("not-live") { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    let app =
        Router::new()
            .route("/", get(move || async move { page }))
            .route("/live", get(move || async move { live }))
            .route(
                "/ready",
                get(move || async move {
                    if ready.now() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
                }),
            );
    let served = tokio::select! {
        served = axum::serve(listener, app).with_graceful_shutdown(terminated()).into_future() => served,
        () = leaves(&release) => {
            eprintln!("panic: it was not meant to last");
            return ExitCode::from(5);
        }
    };
    match served {
        Ok(()) => {
            println!("finished what was under way, goodbye");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    }
}

/// When its readiness probe passes.
#[derive(Debug)]
enum Readiness {
    Always,
    Never,
    From(Instant),
    Until(Instant),
    EveryOtherTime(AtomicU64),
}

impl Readiness {
    fn of(release: &str) -> Arc<Self> {
        let mut words = release.split_whitespace();
        Arc::new(match words.next() {
            Some("never-ready") => Self::Never,
            Some("slow") => {
                let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
                Self::From(Instant::now() + Duration::from_secs(seconds))
            }
            Some("sickens") => {
                let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
                Self::Until(Instant::now() + Duration::from_secs(seconds))
            }
            Some("flapping") => Self::EveryOtherTime(AtomicU64::new(0)),
            _ => Self::Always,
        })
    }

    fn now(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::From(moment) => Instant::now() >= *moment,
            Self::Until(moment) => Instant::now() < *moment,
            Self::EveryOtherTime(times) => times.fetch_add(1, Ordering::Relaxed) % 2 == 1,
        }
    }
}

/// Ends as the release says that it must, if it does.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a service's log is its standard output")]
async fn misbehave(release: &str) -> Option<ExitCode> {
    let (word, rest) = release.split_once(' ').unwrap_or((release, ""));
    match word {
        "exit" => {
            let (code, words) = rest.split_once(' ').unwrap_or((rest, ""));
            println!("{words}");
            Some(ExitCode::from(code.parse().unwrap_or(1)))
        }
        "aborts" => std::process::abort(),
        "needs" => {
            println!("connecting to {rest}");
            let connected = tokio::net::TcpStream::connect(rest).await;
            connected.err().map(|error| {
                eprintln!("Error: {rest}: {error}");
                ExitCode::from(1)
            })
        }
        "eats" => {
            let mut eaten: Vec<Vec<u8>> = Vec::new();
            loop {
                eaten.push(vec![1; 8 << 20]);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        "stumbles" => {
            let file = Path::new("/shared/starts");
            let starts = std::fs::read_to_string(file).unwrap_or_default().len();
            let most: usize = rest.parse().unwrap_or(1);
            if starts >= most {
                return None;
            }
            let _ = std::fs::write(file, "x".repeat(starts + 1));
            eprintln!("not yet");
            Some(ExitCode::from(1))
        }
        _ => None,
    }
}

/// Ends when the release says that it leaves.
async fn leaves(release: &str) {
    match release.strip_prefix("leaves ").and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut term) => {
            term.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[expect(clippy::print_stdout, reason = "a job's log is its standard output")]
async fn migrate(millis: u64, code: u8) -> ExitCode {
    println!("migrating for {millis} ms");
    let mut left = millis;
    while left > 0 {
        let nap = left.min(200);
        tokio::time::sleep(Duration::from_millis(nap)).await;
        left -= nap;
        println!("{left} ms left");
    }
    println!("exit with {code}");
    ExitCode::from(code)
}

fn refuse() -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(REFUSALS)?.write_all(b"refused\n")
}

async fn migrate_after_refusals(count: usize) -> ExitCode {
    while std::fs::read_to_string(REFUSALS).unwrap_or_default().lines().count() < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ExitCode::from(u8::from(std::fs::write(SCHEMA, "").is_err()))
}
