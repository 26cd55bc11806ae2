//! The `skep` binary: arguments → settings → one use case → an exit code.

#[macro_use]
mod terminal;

mod args;
mod bucket;
mod commands;
mod compose;
mod exit;
mod git;
mod init;
mod migrations;
mod private_file;
mod report;
mod settings;
mod trust;
mod view;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    #[cfg(all(feature = "hive", target_os = "linux"))]
    commands::hive::become_pod_init_if_asked();
    #[cfg(all(feature = "hive", target_os = "linux"))]
    skep_node::look_up_names_without_modules();
    exit::on_usage(args::Cli::try_parse(), |cli| {
        let settings = settings::Settings::resolve(&cli);
        settings.install();
        report::ended(&settings, commands::run(&settings, cli.command))
    })
}
