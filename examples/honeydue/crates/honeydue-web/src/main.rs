//! honeyDue's pages for people: sign up, add a residence, see what is due, tick it off. Start reading at [`routes`].

mod account;
mod files;
mod home;
mod routes;
mod shown;
mod start;
mod starter;
mod state;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    honeydue_service::run("web", start::start())
}
