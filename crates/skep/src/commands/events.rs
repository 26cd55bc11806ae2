//! `skep events`.

use anyhow::Result;
use serde_json::{Value, json};
use skep_deploy::{ClusterEvent, EventsRequest};
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings, terminal::Paint as _};

pub(crate) async fn run(settings: &Settings, events: args::Events) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let request = EventsRequest { service: events.service, watch: events.watch };
    skep_deploy::events(&app, &request, |event| {
        if settings.json {
            let mut line = as_json(&event);
            line["type"] = "event".into();
            report::json_line(line);
            return;
        }
        let mark = if event.warning { "!".yellow().to_string() } else { " ".to_owned() };
        outln!("{} {mark} {} {event}", event.at.dimmed(), event.about);
    })
    .await?;
    Ok(())
}

pub(super) fn as_json(event: &ClusterEvent) -> Value {
    json!({
        "last": event.at, "about": event.about, "warning": event.warning,
        "reason": event.reason, "times": event.times, "message": event.message,
    })
}
