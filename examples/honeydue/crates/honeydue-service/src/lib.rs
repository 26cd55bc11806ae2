//! What every honeyDue process does alike: where it listens, how it logs, what it counts, which release it is, and how it
//! leaves without dropping a request. It knows nothing of homes or tasks.
//!
//! A `main` is [`run`] with one async function; that function binds with [`address::bind`], opens [`Internal`], and ends in [`serve`].

pub mod address;
pub mod client;
mod drain;
mod internal;
pub mod metrics;
mod release;
mod sealer;
mod serve;
pub mod settings;

use std::process::ExitCode;

pub use self::{
    drain::Drain,
    internal::{Internal, InternalError},
    release::Release,
    sealer::{Purpose, Sealer},
    serve::{ServeError, serve},
    settings::SettingError,
};

/// Starts logging and a runtime, then runs `service` to its exit code.
///
/// Log lines go to stdout, where a container's log is read; `RUST_LOG` filters them (`info` if absent).
pub fn run<F>(name: &'static str, service: F) -> ExitCode
where
    F: Future<Output = ExitCode>,
{
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_target(false).init();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(service),
        Err(error) => {
            tracing::error!(service = name, %error, "no runtime");
            ExitCode::FAILURE
        }
    }
}
