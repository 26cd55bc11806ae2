//! `skep diagnose`: what is wrong with the services that run, with no deploy under way.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use skep_deploy::{Diagnosed, FailedWorkload, Looked};
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, exit, report, settings::Settings, terminal::Paint as _};

pub(crate) async fn run(settings: &Settings, arguments: args::Diagnose) -> Result<ExitCode> {
    let app = compose::app(settings, compose::load(settings, Reads::Registry)?, Emit::nowhere()).await?;
    let looked = skep_deploy::diagnose(&app, arguments.service.as_deref()).await?;
    if settings.json {
        report::json_line(
            json!({"type": "diagnosis", "services": looked.iter().map(as_json).collect::<Vec<_>>()}),
        );
    } else {
        looked.iter().for_each(print);
    }
    let is_ill = looked.iter().any(|one| matches!(one.state, Looked::Ill(_)));
    Ok(if is_ill { ExitCode::from(exit::CHANGES) } else { ExitCode::SUCCESS })
}

pub(super) fn print(one: &Diagnosed) {
    let name = &one.object.name;
    match &one.state {
        Looked::Well { pods } => outln!("{} {name}: well, {pods} of {pods} ready", "✓".green()),
        Looked::Moving { how } => outln!("{} {name}: {how}", "●".yellow()),
        Looked::Ill(FailedWorkload { diagnosis, log, .. }) => {
            outln!("{} {name}: {diagnosis}", "✗".red());
            for line in log {
                outln!("    {} {line}", "│".dimmed());
            }
            outln!("  {} {}", "hint:".bold(), diagnosis.cause.hint());
        }
    }
}

pub(super) fn as_json(one: &Diagnosed) -> serde_json::Value {
    let service = json!({"kind": one.object.kind, "name": one.object.name});
    let state = match &one.state {
        Looked::Well { pods } => json!({"is": "well", "pods": pods}),
        Looked::Moving { how } => json!({"is": "moving", "how": how}),
        Looked::Ill(FailedWorkload { diagnosis, log, .. }) => json!({
            "is": "ill", "cause": diagnosis.cause.code(), "message": diagnosis.to_string(), "hint": diagnosis.cause.hint(),
            "pod": diagnosis.pod, "container": diagnosis.container, "evidence": log,
        }),
    };
    json!({"service": service, "state": state})
}
