//! `skep logs`.

use anyhow::Result;
use owo_colors::OwoColorize;
use serde_json::json;
use skep_deploy::{LogLine, LogsRequest};
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings};

pub(crate) async fn run(settings: &Settings, logs: args::Logs) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let request = LogsRequest {
        services: logs.services,
        follow: logs.follow,
        tail: logs.tail,
        since: logs.since,
        previous: logs.previous,
    };
    skep_deploy::logs(&app, &request, |line| {
        if settings.json {
            let LogLine { pod, container, line } = line;
            report::json_line(json!({"type": "log", "pod": pod, "container": container, "line": line}));
            return;
        }
        let container = line.container.map(|container| format!("/{container}")).unwrap_or_default();
        anstream::println!("{} {}", format!("{}{container}", line.pod).dimmed(), line.line);
    })
    .await?;
    Ok(())
}
