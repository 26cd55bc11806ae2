//! A hive in the foreground, for tests and for looking at one by itself. `skep hive start` is the user's way.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use skep_hive::{HiveAddress, HiveConfig, HiveError};
use skep_node::Level;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

const USAGE: &str = "usage: skep-hive --state-dir DIR [--http-port PORT] [--ephemeral] [--backoff-ms MILLISECONDS] \
    [--level root|rootless|none]";

fn main() -> ExitCode {
    if skep_node::invoked_as_init() {
        skep_node::init_main();
    }
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn start() -> Result<(), AnyError> {
    let config = configured(std::env::args().skip(1))?;
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    // Only the first provider counts; a second one would be a programming error elsewhere.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: HiveConfig) -> Result<(), AnyError> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let asked = shutdown.clone();
    let signals = tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        asked.cancel();
    });
    let outcome = skep_hive::run(config, announce, shutdown).await;
    signals.abort();
    Ok(outcome?)
}

/// One line of JSON on standard output: whoever started the hive reads it.
fn announce(address: &HiveAddress) {
    let line = serde_json::to_string(address).unwrap_or_default();
    // A reader that has left wants nothing.
    drop(writeln!(std::io::stdout(), "{line}"));
}

fn configured(mut arguments: impl Iterator<Item = String>) -> Result<HiveConfig, AnyError> {
    let mut config = HiveConfig::new(PathBuf::new(), std::env::current_exe()?);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--state-dir" => config.state_dir = value()?.into(),
            "--http-port" => config.http_port = Some(value()?.parse()?),
            "--ephemeral" => config.ephemeral = true,
            "--backoff-ms" => config.backoff.initial = Duration::from_millis(value()?.parse()?),
            "--level" => config.level = Some(level(&value()?)?),
            other => return Err(format!("unknown argument `{other}`\n{USAGE}").into()),
        }
    }
    if config.state_dir.as_os_str().is_empty() {
        return Err(format!("--state-dir is missing\n{USAGE}").into());
    }
    Ok(config)
}

fn level(text: &str) -> Result<Level, AnyError> {
    match text {
        "root" => Ok(Level::Root),
        "rootless" => Ok(Level::Rootless),
        "none" => Ok(Level::None { why: "asked for by --level none".to_owned() }),
        other => Err(format!("unknown level `{other}`; it is root, rootless or none\n{USAGE}").into()),
    }
}

fn report(error: &(dyn std::error::Error + Send + Sync + 'static)) {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    drop(writeln!(std::io::stderr(), "skep-hive: {text}"));
    if let Some(hint) = error.downcast_ref::<HiveError>().and_then(HiveError::hint) {
        drop(writeln!(std::io::stderr(), "hint: {hint}"));
    }
}
