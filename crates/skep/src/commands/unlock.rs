//! `skep unlock`.

use anyhow::Result;
use serde_json::json;
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings};

pub(crate) async fn run(settings: &Settings, unlock: &args::Unlock) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let holder = skep_deploy::unlock(&app, &unlock.reason).await?;
    let name = &app.project.app;
    match (settings.json, &holder) {
        (true, holder) => {
            let holder = holder.as_ref().map(ToString::to_string);
            report::json_line(json!({"type": "unlocked", "holder": holder}));
        }
        (false, Some(holder)) => {
            outln!("{name} is unlocked: {holder} held it, and has stopped");
        }
        (false, None) => outln!("{name} is not locked"),
    }
    Ok(())
}
