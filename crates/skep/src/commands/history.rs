//! `skep history`.

use anyhow::Result;
use skep_model::Emit;

use crate::{
    compose::{self, Needs},
    report,
    settings::Settings,
};

pub(crate) async fn run(settings: &Settings) -> Result<()> {
    let composed = compose::load(settings, Needs::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    let releases = skep_deploy::history(&app).await?;
    for release in &releases {
        if settings.json {
            let mut line = report::release_json(release);
            line["type"] = "release".into();
            report::json_line(line);
        } else {
            anstream::println!("{}", report::release_line(release));
        }
    }
    if releases.is_empty() && !settings.json {
        anstream::println!("no release yet; `skep deploy` makes the first");
    }
    Ok(())
}
