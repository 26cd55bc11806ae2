//! `skep show`.

use anyhow::Result;
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings};

pub(crate) async fn run(settings: &Settings, show: &args::Show) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let entry = skep_deploy::show(&app, show.release).await?;
    match settings.json {
        true => report::json_line(report::entry_json(&entry)),
        false => report::release(&entry),
    }
    Ok(())
}
