//! goose's command line for app images: installed as `/usr/local/bin/goose`, it runs a Job that was written for goose.
//!
//! `arguments` and `settings` turn the command line and the environment into one value, `commands` runs it, `ui` and
//! `failure` are all that is printed.

mod arguments;
mod commands;
mod duration;
mod failure;
mod settings;
mod signals;
mod ui;
mod usage;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // sqlx names its own rustls provider (ring), so none has to be installed for the process.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match settings::Settings::resolve(&arguments) {
        Ok(settings) => commands::run(settings).await,
        Err(stop) => Err(stop),
    };
    outcome.map_or_else(|stop| ui::stop(&stop), |()| ExitCode::SUCCESS)
}
