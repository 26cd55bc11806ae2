//! From the environment to a served api, and to its exit code.

use std::process::ExitCode;

use honeydue_files::Storage;
use honeydue_service::{
    Drain, Internal, Release, Sealer, SettingError, address, client::Proxies, metrics::Metrics, serve,
    settings,
};
use honeydue_store::{Cache, Store, passwords::Passwords};

use crate::{routes, state::Api, version::VERSION};

/// Runs the api until it is told to leave.
pub(crate) async fn start() -> ExitCode {
    let drain = match Drain::from_environment() {
        Ok(drain) => drain,
        Err(error) => return refuse(&error),
    };
    // A signal during a long wait for the database must not be ignored.
    let (store, _) = tokio::select! {
        started = Store::start() => match started {
            Ok(started) => started,
            Err(error) => {
                tracing::error!("refusing to start: {}", error.in_full());
                return error.exit_code();
            }
        },
        () = drain.begun() => return ExitCode::SUCCESS,
    };
    let passwords = match Passwords::start() {
        Ok(passwords) => passwords,
        Err(error) => return refuse(&error),
    };
    let api = match assemble(store, passwords, drain.clone()) {
        Ok(api) => api,
        Err(error) => return refuse(&error),
    };
    let listener = match address::from_environment(8000) {
        Ok(address) => address::bind(address).await,
        Err(error) => return refuse(&error),
    };
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return refuse(&error),
    };
    let internal = match Internal::open(api.release.clone(), api.metrics.clone()).await {
        Ok(internal) => internal,
        Err(error) => return refuse(&error),
    };
    match api.storage.clone() {
        Some(storage) => drop(tokio::spawn(async move {
            storage.learn_forms().await;
            storage.check_cors().await;
        })),
        None => tracing::warn!("there is no bucket (B2_ENDPOINT is not set): files are refused"),
    }
    let store = api.store.clone();
    let (served, ()) = tokio::join!(serve(listener, routes::router(api), &drain), internal.serve(&drain));
    store.close().await;
    match served {
        Ok(()) => {
            tracing::info!("drained: every request was answered");
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

fn assemble(store: Store, passwords: Passwords, drain: Drain) -> Result<Api, SettingError> {
    let password = settings::secret_of("the Secret honeydue-redis", "REDIS_PASSWORD")?;
    let cache =
        Cache::new(&settings::config("REDIS_URL")?, &password).map_err(|_| SettingError::Unreadable {
            name: "REDIS_URL",
            expected: "a Redis URL such as redis://honeydue@redis:6379/0",
        })?;
    Ok(Api {
        store,
        cache,
        storage: Storage::from_environment()?,
        passwords,
        proxies: Proxies::from_environment()?,
        sealer: Sealer::new(&settings::secret("SECRET_KEY")?),
        release: Release::from_environment("api", VERSION),
        metrics: Metrics::new("api", VERSION),
        drain,
    })
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "the api stops");
    ExitCode::FAILURE
}
