//! `skep logs`.

use anyhow::Result;
use serde_json::json;
use skep_deploy::{LogLine, LogsRequest};
use skep_model::Emit;
use skep_project::Reads;

use crate::{
    args, compose, report,
    settings::Settings,
    terminal::{self, Paint as _},
};

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
        let prefix = format!("{}{container}", line.pod);
        terminal::program_line(&format!("{} ", prefix.dimmed()), &line.line);
    })
    .await?;
    Ok(())
}
