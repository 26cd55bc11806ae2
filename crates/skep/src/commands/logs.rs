//! `skep logs`.

use anyhow::Result;
use owo_colors::OwoColorize;
use serde_json::json;
use skep_deploy::LogsRequest;
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings};

pub(crate) async fn run(settings: &Settings, logs: args::Logs) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let request = LogsRequest { service: logs.service, follow: logs.follow, tail: logs.tail };
    skep_deploy::logs(&app, &request, |line| {
        if settings.json {
            report::json_line(json!({"type": "log", "pod": line.pod, "line": line.line}));
        } else {
            anstream::println!("{} {}", line.pod.dimmed(), line.line);
        }
    })
    .await?;
    Ok(())
}
