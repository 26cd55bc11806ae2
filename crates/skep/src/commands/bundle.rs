//! `skep bundle`.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, private_file, report, settings::Settings};

/// Writes the bundle to a file in the current folder and lists what is in it.
pub(crate) async fn run(settings: &Settings, bundle: &args::Bundle) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let found = skep_deploy::bundle(&app, bundle.release).await?;
    let name = format!("{}-v{}.tar.gz", app.project.app, found.number);
    private_file::write(Path::new(&name), &found.archive).with_context(|| format!("can't write {name}"))?;
    if settings.json {
        report::json_line(
            json!({"type": "bundle", "release": found.number, "file": name, "files": found.files}),
        );
    } else {
        outln!("{name}: what was found when v{} failed", found.number);
        found.files.iter().for_each(|file| outln!("  {file}"));
    }
    Ok(())
}
