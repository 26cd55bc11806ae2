//! honeyDue's page for its keeper: is everything well, which releases run, how much there is, and how the jobs fare.

mod access;
mod overview;
mod routes;
mod shown;
mod start;
mod state;
mod throttle;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    honeydue_service::run("admin", start::start())
}
