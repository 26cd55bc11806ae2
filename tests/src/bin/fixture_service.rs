//! The service that the end-to-end tests ship. `GET /` answers with the image's release and the greeting of its config, so that a
//! test sees which of both runs; the content of `/release` can make it misbehave:
//!
//! - `crash …`: it prints the rest, panics in words, and exits with 3;
//! - `never-ready …`: its readiness probe answers 503;
//! - `schema …`: without `/shared/schema` it adds a line to `/shared/refusals` and exits with 78.
//!
//! As `migrate MILLIS CODE` it prints a line every 200 ms for so long, then exits so. As `migrate-after-refusals COUNT` it waits
//! until the services of `/shared` have refused so often, then makes the schema that they want.

use std::{fs::OpenOptions, io::Write, net::SocketAddr, path::Path, process::ExitCode, time::Duration};

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
    if release.starts_with("schema") && !Path::new(SCHEMA).exists() {
        eprintln!("there is no schema");
        return ExitCode::from(if refuse().is_ok() { 78 } else { 1 });
    }
    let ready = !release.starts_with("never-ready");
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
    let app = Router::new().route("/", get(move || async move { page })).route(
        "/ready",
        get(move || async move { if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } }),
    );
    match axum::serve(listener, app).with_graceful_shutdown(terminated()).await {
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
