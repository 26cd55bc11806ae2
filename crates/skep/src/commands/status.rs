//! `skep status`.

use std::io::IsTerminal;

use anyhow::Result;
use serde_json::json;
use skep_deploy::{ServiceStatus, Status};
use skep_project::Reads;

use crate::{
    args, compose, report,
    settings::Settings,
    terminal::{self, Paint as _},
};

pub(crate) async fn run(settings: &Settings, arguments: args::Status) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let title = composed.title();
    let app = compose::app(settings, composed, report::warnings(settings)).await?;
    if !arguments.watch {
        show(settings, &title, &skep_deploy::status(&app).await?);
        return Ok(());
    }
    let terminal = std::io::stdout().is_terminal() && !settings.json;
    skep_deploy::watch_status(&app, |status| {
        if terminal {
            terminal::clear();
        }
        show(settings, &title, status);
        if !terminal && !settings.json {
            outln!();
        }
    })
    .await?;
    Ok(())
}

fn show(settings: &Settings, title: &str, status: &Status) {
    if settings.json {
        report::json_line(as_json(status));
    } else {
        print(title, status);
    }
}

fn print(title: &str, status: &Status) {
    let Some(release) = &status.release else {
        outln!("{title}: nothing is deployed; `skep deploy` ships it");
        return;
    };
    outln!("{}  {}", title.bold(), report::release_line(release));
    let width = status.services.iter().map(|service| service.object.name.len()).max().unwrap_or(0);
    for service in &status.services {
        if !service.exists {
            let gone = "deleted from the cluster; `skep deploy` puts it back";
            outln!("  {} {:<width$}  {gone}", "✗".red(), service.object.name);
            continue;
        }
        let mark = if service.settled { "✓".green().to_string() } else { "●".yellow().to_string() };
        let restarts: u64 = service.pods.iter().map(|pod| pod.restarts).sum();
        let restarts = if restarts == 0 { String::new() } else { format!("  {restarts} restarts") };
        outln!(
            "  {mark} {:<width$}  {}/{} ready{restarts}",
            service.object.name,
            service.available,
            service.wanted
        );
        for pod in service.pods.iter().filter(|pod| !pod.ready) {
            let waits = pod.waits_for.as_deref().unwrap_or("not ready");
            outln!("      {}", waits.dimmed());
        }
    }
}

fn as_json(status: &Status) -> serde_json::Value {
    json!({
        "type": "status",
        "release": status.release.as_ref().map(report::release_json),
        "services": status.services.iter().map(service_json).collect::<Vec<_>>(),
    })
}

fn service_json(service: &ServiceStatus) -> serde_json::Value {
    json!({
        "kind": service.object.kind,
        "name": service.object.name,
        "wanted": service.wanted,
        "available": service.available,
        "exists": service.exists,
        "settled": service.settled,
        "images": service.images,
        "pods": service.pods.iter().map(|pod| json!({
            "name": pod.name, "ready": pod.ready, "restarts": pod.restarts, "waitsFor": pod.waits_for,
        })).collect::<Vec<_>>(),
    })
}
