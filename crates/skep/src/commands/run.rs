//! `skep run`: its output is the command's, and so is its exit code.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use skep_deploy::RunRequest;
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, exit, report, settings::Settings, terminal};

pub(crate) async fn run(settings: &Settings, run: args::Run) -> Result<ExitCode> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let request = RunRequest { service: run.service, command: run.command };
    let code = skep_deploy::run(&app, &request, |line| match settings.json {
        true => report::json_line(json!({"type": "output", "line": line})),
        false => terminal::program_line("", &line),
    });
    let code = code.await?;
    if settings.json {
        report::json_line(json!({"type": "ran", "exitCode": code}));
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(exit::FAILED)))
}
