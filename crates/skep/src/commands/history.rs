//! `skep history`.

use anyhow::Result;
use skep_project::Reads;

use crate::{compose, report, settings::Settings};

pub(crate) async fn run(settings: &Settings) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, report::warnings(settings)).await?;
    let entries = skep_deploy::history(&app).await?;
    for entry in &entries {
        match settings.json {
            true => report::json_line(report::entry_json(entry)),
            false => outln!("{}", report::entry_line(entry)),
        }
    }
    if entries.is_empty() && !settings.json {
        outln!("no release yet; `skep deploy` makes the first");
    }
    Ok(())
}
