//! From the environment to served pages, and to an exit code.

use std::process::ExitCode;

use honeydue_pages::{ApiClient, forms::Cookies};
use honeydue_service::{
    Drain, Internal, Release, SettingError, address, client::Proxies, metrics::Metrics, serve, settings,
};

use crate::{routes, state::Web, version::VERSION};

/// Serves the pages until the process is told to leave. They start without the api: whoever looks is told that it is away.
pub(crate) async fn start() -> ExitCode {
    let (drain, web) = match assemble() {
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
    let internal = match Internal::open(web.release.clone(), web.metrics.clone()).await {
        Ok(internal) => internal,
        Err(error) => return refuse(&error),
    };
    let (served, ()) = tokio::join!(serve(listener, routes::router(web), &drain), internal.serve(&drain));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

fn assemble() -> Result<(Drain, Web), SettingError> {
    let drain = Drain::from_environment()?;
    let web = Web {
        api: ApiClient::new(&settings::text("API_URL", "http://api:8000")),
        release: Release::from_environment("web", VERSION),
        cookies: Cookies::from_environment()?,
        proxies: Proxies::from_environment()?,
        metrics: Metrics::new("web", VERSION),
        bucket: bucket()?,
        drain: drain.clone(),
    };
    Ok((drain, web))
}

/// The origin of `B2_PUBLIC_ENDPOINT`, or of `B2_ENDPOINT`: pages may send to no other.
fn bucket() -> Result<Option<String>, SettingError> {
    let found = settings::optional("B2_PUBLIC_ENDPOINT").or_else(|| settings::optional("B2_ENDPOINT"));
    let Some(text) = found else { return Ok(None) };
    let text = if text.contains("://") { text } else { format!("https://{text}") };
    let origin = text.trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-:/[]".contains(c);
    if origin.chars().all(is_plain) && origin.matches('/').count() == 2 {
        Ok(Some(origin.to_owned()))
    } else {
        Err(SettingError::Unreadable { name: "B2_PUBLIC_ENDPOINT", expected: "an address without a path" })
    }
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "web stops");
    ExitCode::FAILURE
}
