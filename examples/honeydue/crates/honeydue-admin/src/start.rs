//! From the environment to a served page, and to an exit code.

use std::process::ExitCode;

use honeydue_pages::{ApiClient, forms::Cookies};
use honeydue_service::{
    Drain, Internal, Release, Sealer, SettingError, address, client::Proxies, metrics::Metrics, serve,
    settings,
};

use crate::{access::Access, routes, state::Admin, throttle::Throttle, version::VERSION};

/// Serves the page until the process is told to leave.
pub(crate) async fn start() -> ExitCode {
    let (drain, admin) = match assemble() {
        Ok(assembled) => assembled,
        Err(error) => return refuse(&error),
    };
    let listener = match address::from_environment(3000) {
        Ok(address) => address::bind(address).await,
        Err(error) => return refuse(&error),
    };
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return refuse(&error),
    };
    let internal = match Internal::open(admin.release.clone(), admin.metrics.clone()).await {
        Ok(internal) => internal,
        Err(error) => return refuse(&error),
    };
    let (served, ()) = tokio::join!(serve(listener, routes::router(admin), &drain), internal.serve(&drain));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

fn assemble() -> Result<(Drain, Admin), SettingError> {
    let drain = Drain::from_environment()?;
    let sealer = Sealer::new(&settings::secret("SECRET_KEY")?);
    let admin = Admin {
        api: ApiClient::new(&settings::text("API_URL", "http://api:8000")),
        api_internal: ApiClient::new(&settings::text("API_INTERNAL_URL", "http://api:9464")),
        worker: ApiClient::new(&settings::text("WORKER_URL", "http://worker:9464")),
        web: ApiClient::new(&settings::text("WEB_URL", "http://web:9464")),
        access: Access::from_environment(sealer.clone())?,
        keeper_token: sealer.keeper_token(),
        release: Release::from_environment("admin", VERSION),
        cookies: Cookies::from_environment()?,
        proxies: Proxies::from_environment()?,
        throttle: Throttle::default(),
        metrics: Metrics::new("admin", VERSION),
        drain: drain.clone(),
    };
    Ok((drain, admin))
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "admin stops");
    ExitCode::FAILURE
}
