//! `skep hive`: the one-machine cluster as a background process.

mod background;

use std::{path::PathBuf, process};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

pub(crate) use self::background::Running;
use crate::{args, report, settings::Settings, terminal::Paint as _};

/// A pod's first process is this same program: it must turn into it before any thread exists.
pub(crate) fn become_pod_init_if_asked() {
    if skep_node::invoked_as_init() {
        skep_node::init_main();
    }
}

pub(crate) async fn run(settings: &Settings, hive: args::Hive) -> Result<()> {
    match hive {
        args::Hive::Start(up) => start(settings, &up).await,
        args::Hive::Stop => stop(settings, false).await,
        args::Hive::Status => status(settings),
        args::Hive::Kubeconfig => {
            outln!("{}", running(settings)?.kubeconfig.display());
            Ok(())
        }
        args::Hive::Run(up) => foreground(settings, &up).await,
    }
}

/// Starts hive unless it runs.
pub(crate) async fn start(settings: &Settings, up: &args::Up) -> Result<()> {
    if let Some(running) = Running::find(&settings.hive_dir) {
        if let Some(port) = up.port.filter(|port| *port != running.ingress_port) {
            bail!(
                "hive runs on port {}, not {port}\nhint: `skep hive stop`, then start it again with the other port",
                running.ingress_port
            );
        }
        say(settings, "running", &running);
        return Ok(());
    }
    let running = background::start(settings, up.port).await?;
    say(settings, "started", &running);
    Ok(())
}

/// Stops hive if it runs; `wiped`: its data goes too, so nothing is said of it.
pub(crate) async fn stop(settings: &Settings, wiped: bool) -> Result<()> {
    let stopped = background::stop(&settings.hive_dir).await?;
    if settings.json {
        report::json_line(json!({"type": "hive", "is": "stopped", "wasRunning": stopped}));
    } else {
        outln!(
            "{}",
            match (stopped, wiped) {
                (true, false) => "hive is stopped; its data stays",
                (true, true) => "hive is stopped",
                (false, _) => "hive is not running",
            }
        );
    }
    Ok(())
}

/// Removes hive's data. It must not run.
pub(crate) fn wipe(settings: &Settings) -> Result<()> {
    skep_node::remove_tree(&settings.hive_dir)
        .with_context(|| format!("can't remove {}", settings.hive_dir.display()))?;
    if !settings.json {
        outln!("removed {}", settings.hive_dir.display());
    }
    Ok(())
}

/// The hive that runs.
///
/// # Errors
/// When none does.
pub(crate) fn running(settings: &Settings) -> Result<Running> {
    Running::find(&settings.hive_dir).with_context(
        || "hive is not running\nhint: `skep up` starts it and deploys; `skep hive start` only starts it",
    )
}

fn status(settings: &Settings) -> Result<()> {
    match Running::find(&settings.hive_dir) {
        Some(running) => say(settings, "running", &running),
        None if settings.json => report::json_line(json!({"type": "hive", "is": "stopped"})),
        None => outln!("hive is not running; `skep up` starts it"),
    }
    Ok(())
}

fn say(settings: &Settings, is: &str, running: &Running) {
    if settings.json {
        report::json_line(json!({
            "type": "hive", "is": is, "pid": running.pid, "api": running.api, "registry": running.registry,
            "ingressPort": running.ingress_port, "kubeconfig": running.kubeconfig,
        }));
    } else if settings.show != crate::settings::Show::Quiet {
        let ingress = format!("http://*.localhost:{}", running.ingress_port);
        errln!("hive is {is} ({ingress}, process {})", running.pid.to_string().dimmed());
    }
}

async fn foreground(settings: &Settings, up: &args::Up) -> Result<()> {
    let program: PathBuf = std::env::current_exe().context("can't find this program's own file")?;
    let config = background::config(settings, program, up.port);
    let shutdown = tokio_util::sync::CancellationToken::new();
    let stopping = shutdown.clone();
    let signals = tokio::spawn(async move {
        background::terminated().await;
        stopping.cancel();
    });
    let ended = skep_hive::run(
        config,
        |address| tracing::info!(?address, pid = process::id(), "hive is ready"),
        shutdown,
    )
    .await;
    signals.abort();
    ended.map_err(|error| {
        let hint = error.hint();
        let error = anyhow::Error::new(error);
        match hint {
            Some(hint) => anyhow!("{error:#}\nhint: {hint}"),
            None => error,
        }
    })
}
