//! All that is printed. Lines go to standard error with the time before them, as Go's log package writes goose's.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this module is")]

use std::process::ExitCode;

use jiff::Zoned;

use crate::failure::Stop;
use crate::usage::USAGE;

/// One line of the log.
pub(crate) fn log(text: &str) {
    eprintln!("{} {text}", Zoned::now().strftime("%Y/%m/%d %H:%M:%S"));
}

/// Says why the program stops; the exit code says it to the caller.
pub(crate) fn stop(stop: &Stop) -> ExitCode {
    match stop {
        Stop::Help => println!("{USAGE}"),
        Stop::NoCommand => eprintln!("{USAGE}"),
        Stop::Version => {
            println!("goose version: skep-migrate {} (goose v3's format)", env!("CARGO_PKG_VERSION"));
        }
        Stop::Flags(why) => eprintln!("{why}\n{USAGE}"),
        other => log(&other.to_string()),
    }
    ExitCode::from(stop.code())
}
