//! honeyDue's worker: runs the jobs of [`table::JOBS`] when their cron pattern says so, each by one worker at a time.

mod due;
mod health;
mod runner;
mod start;
mod table;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    honeydue_service::run("worker", start::start())
}
