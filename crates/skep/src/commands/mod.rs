//! One command, one file.

mod bucket;
mod bundle;
mod check;
mod completions;
mod config;
mod deploy;
mod describe;
mod diagnose;
mod down;
mod events;
mod history;
#[cfg(all(feature = "hive", target_os = "linux"))]
pub(crate) mod hive;
#[cfg(not(all(feature = "hive", target_os = "linux")))]
#[path = "hive_absent.rs"]
pub(crate) mod hive;
mod logs;
mod man_pages;
mod operate;
mod plan;
mod promote;
mod replay;
mod report;
mod rollback;
mod run;
mod secret;
mod show;
mod status;
mod unlock;
mod up;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use skep_deploy::Operation;

use crate::{args::Command, settings::Settings};

/// How long background tasks may take to end after the command has.
const GRACE: Duration = Duration::from_millis(500);

/// Runs one command to its end.
pub(crate) fn run(settings: &Settings, command: Command) -> Result<ExitCode> {
    let only_looks = only_looks(&command);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = Box::pin(dispatch(settings, command)) => result,
            () = interrupted(if only_looks { 1 } else { 2 }) => Err(Interrupted { only_looked: only_looks }.into()),
        }
    });
    runtime.shutdown_timeout(GRACE);
    result
}

/// Whether a command changes nothing and ends by itself: there is nothing that a Ctrl-C should wait for.
fn only_looks(command: &Command) -> bool {
    match command {
        Command::Status(status) => !status.watch,
        Command::Events(events) => !events.watch,
        Command::Check
        | Command::Describe(_)
        | Command::Diagnose(_)
        | Command::History
        | Command::Show(_)
        | Command::Bundle(_)
        | Command::Replay(_)
        | Command::Report(_) => true,
        _ => false,
    }
}

/// The first Ctrl-C stops cleanly; the second, while that takes its time, ends the command where it is.
async fn interrupted(times: usize) {
    for _ in 0..times {
        crate::compose::interrupted().await;
    }
}

/// The user did not want to wait for the end, or for a clean stop.
#[derive(Debug)]
pub(crate) struct Interrupted {
    only_looked: bool,
}

impl std::error::Error for Interrupted {}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.only_looked {
            "stopped"
        } else {
            "stopped at once\nhint: the release's record may be open; the next `skep deploy` closes it and goes on"
        })
    }
}

async fn dispatch(settings: &Settings, command: Command) -> Result<ExitCode> {
    let done = match command {
        Command::Run(arguments) => return run::run(settings, arguments).await,
        Command::Check => return check::run(settings).await,
        Command::Describe(describe) => return Box::pin(describe::run(settings, describe)).await,
        Command::Diagnose(arguments) => return diagnose::run(settings, arguments).await,
        Command::Plan(arguments) => return plan::plan(settings, arguments).await,
        Command::Bucket(arguments) => return bucket::run(settings, arguments).await,
        Command::Config(arguments) => return config::run(settings, arguments).await,
        Command::Restart(services) => operate::run(settings, services, &Operation::Restart).await,
        Command::Pause(services) => operate::run(settings, services, &Operation::Pause).await,
        Command::Resume(services) => operate::run(settings, services, &Operation::Resume).await,
        Command::Scale(scale) => operate::scale(settings, scale).await,
        Command::Hotfix(hotfix) => deploy::hotfix(settings, hotfix).await,
        Command::Diff(arguments) => return plan::diff(settings, arguments).await,
        Command::Up(up) => up::run(settings, &up).await,
        Command::Deploy(deploy) => deploy::run(settings, deploy).await,
        Command::Promote(promote) => promote::run(settings, promote).await,
        Command::Rollback(rollback) => rollback::run(settings, &rollback).await,
        Command::Status(status) => status::run(settings, status).await,
        Command::History => history::run(settings).await,
        Command::Unlock(unlock) => unlock::run(settings, &unlock).await,
        Command::Secret(secret) => secret::run(settings, secret).await,
        Command::Bundle(bundle) => bundle::run(settings, &bundle).await,
        Command::Replay(replay) => return replay::run(settings, &replay).await,
        Command::Report(wanted) => report::run(settings, &wanted).await,
        Command::Show(show) => show::run(settings, &show).await,
        Command::Events(events) => events::run(settings, events).await,
        Command::Logs(logs) => logs::run(settings, logs).await,
        Command::Init(init) => crate::init::run(settings, &init),
        Command::Hive(hive) => hive::run(settings, hive).await,
        Command::Down(down) => down::run(settings, &down).await,
        Command::Completions { shell } => {
            completions::run(shell);
            Ok(())
        }
        Command::ManPages { folder } => man_pages::run(&folder),
    };
    done.map(|()| ExitCode::SUCCESS)
}
