//! From the environment to a running worker, and to its exit code.

use std::process::ExitCode;

use honeydue_files::Storage;
use honeydue_service::{Drain, Internal, Release, address, metrics::Metrics, serve, settings};
use honeydue_store::Store;

use crate::{
    due::Schedule,
    health,
    runner::Runner,
    table::{JOBS, Tools},
    version::VERSION,
};

/// Runs the worker until it is told to leave and its runs have ended.
pub(crate) async fn start() -> ExitCode {
    let schedules = match JOBS.into_iter().map(Schedule::new).collect::<Result<Vec<_>, _>>() {
        Ok(schedules) => schedules,
        Err(error) => return refuse(&error),
    };
    let drain = match Drain::from_environment() {
        Ok(drain) => drain,
        Err(error) => return refuse(&error),
    };
    let store = tokio::select! {
        started = Store::start() => match started {
            Ok((store, _)) => store,
            Err(error) => {
                tracing::error!("refusing to start: {}", error.in_full());
                return error.exit_code();
            }
        },
        () = drain.begun() => return ExitCode::SUCCESS,
    };
    let listener = match address::from_environment(8001) {
        Ok(address) => address::bind(address).await,
        Err(error) => return refuse(&error),
    };
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return refuse(&error),
    };
    let worker = settings::optional("POD_NAME").unwrap_or_else(|| format!("worker-{}", std::process::id()));
    let storage = match Storage::from_environment() {
        Ok(storage) => storage,
        Err(error) => return refuse(&error),
    };
    let metrics = Metrics::new("worker", VERSION);
    let release = Release::from_environment("worker", VERSION);
    let internal = match Internal::open(release, metrics.clone()).await {
        Ok(internal) => internal,
        Err(error) => return refuse(&error),
    };
    let tools = Tools { store: store.clone(), storage, metrics: metrics.clone() };
    let runner = Runner { tools, worker, drain: drain.clone() };
    let runs = async {
        tokio::select! {
            () = runner.run(schedules) => {}
            () = drain.over() => tracing::warn!("a run was cut off; its lease will run out"),
        }
    };
    let health = health::router(store.clone(), drain.clone(), metrics);
    let ((), served, ()) = tokio::join!(runs, serve(listener, health, &drain), internal.serve(&drain));
    store.close().await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "the worker stops");
    ExitCode::FAILURE
}
