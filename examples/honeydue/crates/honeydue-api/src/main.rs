//! honeyDue's api: JSON over HTTP for its pages and its phone apps. Start reading at [`routes`].

mod auth;
mod error;
mod extract;
mod health;
mod keeper;
mod places;
mod routes;
mod start;
mod state;
mod tasks;
mod uploads;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    honeydue_service::run("api", start::start())
}
