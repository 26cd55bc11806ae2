//! Hive in the background: started detached, found again by its state file, stopped by its pid.

use std::{
    fs::{self, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use skep_hive::{HiveAddress, HiveConfig};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

use crate::settings::Settings;

/// How long a hive may take to come up or to stop its pods.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A hive that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    pub(crate) api: String,
    pub(crate) registry: String,
    pub(crate) ingress_port: u16,
    pub(crate) kubeconfig: PathBuf,
}

impl Running {
    /// The hive of a state directory, if its process is alive and ready.
    pub(crate) fn find(dir: &Path) -> Option<Self> {
        let address: HiveAddress = serde_json::from_slice(&fs::read(dir.join("hive.json")).ok()?).ok()?;
        let pid = i32::try_from(address.pid).ok()?;
        is_ours(pid, dir).then(|| Self {
            pid,
            api: format!("https://{}", address.api),
            registry: address.registry.to_string(),
            ingress_port: address.ingress.port(),
            kubeconfig: address.kubeconfig,
        })
    }
}

/// Whether that process is a hive on this directory, and not another program that was given the same number.
fn is_ours(pid: i32, dir: &Path) -> bool {
    let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let wanted = format!("SKEP_HIVE_DIR={}", dir.display());
    let words = |bytes: &[u8], word: &str| bytes.split(|byte| *byte == 0).any(|part| part == word.as_bytes());
    let is_a_hive = words(&arguments, "hive") && words(&arguments, "run");
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => is_a_hive && words(&environment, &wanted),
        // From another user namespace the environment can't be read; that this directory names the process must do then.
        Err(error) => is_a_hive && error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

/// How hive is set up, in the foreground and in the background alike.
pub(crate) fn config(settings: &Settings, program: PathBuf, port: Option<u16>) -> HiveConfig {
    HiveConfig { http_port: port, ..HiveConfig::new(settings.hive_dir.clone(), program) }
}

/// Starts hive detached from this terminal and waits until it is ready.
pub(crate) async fn start(settings: &Settings, port: Option<u16>) -> Result<Running> {
    let dir = &settings.hive_dir;
    fs::create_dir_all(dir)
        .with_context(|| format!("can't make hive's state directory {}", dir.display()))?;
    let log = dir.join("hive.log");
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("can't write {}", log.display()))?;
    let before = fs::metadata(&log).map(|meta| meta.len()).unwrap_or(0);
    let mut command =
        skep_process::command(std::env::current_exe().context("can't find this program's own file")?);
    command.args(["hive", "run"]).env("SKEP_HIVE_DIR", dir).current_dir("/").process_group(0);
    // A hive is idle most of its life: memory that a push or a build of pods needed goes back to the system (mallopt(3)).
    command
        .env("MALLOC_ARENA_MAX", "1")
        .env("MALLOC_TRIM_THRESHOLD_", "65536")
        .env("MALLOC_MMAP_THRESHOLD_", "65536");
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    if let Some(port) = port {
        command.args(["--port", &port.to_string()]);
    }
    let mut child = command.spawn().context("can't start hive")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(running) = Running::find(dir).filter(|running| running.pid.unsigned_abs() == child.id()) {
            return Ok(running);
        }
        if let Some(status) = child.try_wait()? {
            bail!("hive did not start: {}", last_words(&tail(&log, before), status, &log));
        }
        if Instant::now() > deadline {
            bail!("hive is not ready after {} s\nhint: its log is {}", PATIENCE.as_secs(), log.display());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What hive wrote since it was started.
fn tail(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(0).min(bytes.len());
    String::from_utf8_lossy(&bytes[from..]).trim().to_owned()
}

/// The error that hive ended with, hint and all; or, when it was not even able to say one, its exit and what it wrote.
fn last_words(written: &str, status: ExitStatus, log: &Path) -> String {
    match written.strip_prefix("error: ").or_else(|| Some(written.rsplit_once("\nerror: ")?.1)) {
        Some(said) => said.to_owned(),
        None => format!("it ended with {status}\n{written}\nhint: its log is {}", log.display()),
    }
}

/// Asks hive to stop and waits until it is gone. True if it was running.
pub(crate) async fn stop(dir: &Path) -> Result<bool> {
    let Some(running) = Running::find(dir) else { return Ok(false) };
    kill(Pid::from_raw(running.pid), Signal::SIGTERM)
        .with_context(|| format!("can't stop hive (process {})", running.pid))?;
    let deadline = Instant::now() + PATIENCE;
    while is_ours(running.pid, dir) {
        if Instant::now() > deadline {
            bail!(
                "hive (process {}) is still stopping after {} s\nhint: its log is {}",
                running.pid,
                PATIENCE.as_secs(),
                dir.join("hive.log").display()
            );
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(true)
}

/// Waits for the first SIGTERM or SIGINT.
pub(crate) async fn terminated() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
