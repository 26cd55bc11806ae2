//! The bucket of the target `local`, on port 9000.

use std::process::ExitCode;

fn main() -> ExitCode {
    honeydue_service::run("bucket", honeydue_bucket::start())
}
