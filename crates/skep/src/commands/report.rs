//! `skep report`.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings};

/// Writes the page to a file in the current folder.
pub(crate) async fn run(settings: &Settings, wanted: &args::Report) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let found = skep_deploy::report(&app, wanted.release).await?;
    let page = report::page(&app.project.target, &found).context("the page can't be written")?;
    let number = found.entry.release.number;
    let name = format!("{}-v{number}.html", app.project.app);
    std::fs::write(Path::new(&name), page).with_context(|| format!("can't write {name}"))?;
    if settings.json {
        report::json_line(json!({"type": "report", "release": number, "file": name}));
    } else {
        outln!("{name}: what v{number} changed, where its time went, and what went wrong if anything did");
    }
    Ok(())
}
