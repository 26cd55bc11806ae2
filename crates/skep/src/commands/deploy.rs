//! `skep deploy`.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use skep_deploy::{App, DeployRequest, Images, SavedPlan};
use skep_project::Reads;

use super::logs;
use crate::{args, compose, report, settings::Settings, view::View};

pub(crate) async fn run(settings: &Settings, deploy: args::Deploy) -> Result<()> {
    match deploy.plan {
        Some(file) => carry_out(settings, &file, deploy.shipping).await,
        None => ship(settings, request(deploy.what), deploy.shipping).await,
    }
}

/// Deploys a saved plan. The project is read for its target and its secrets, which the file does not hold.
async fn carry_out(settings: &Settings, file: &Path, shipping: args::Shipping) -> Result<()> {
    let shown = file.display();
    let text = fs::read_to_string(settings.dir.join(file)).with_context(|| format!("can't read {shown}"))?;
    let saved = SavedPlan::read(&text)
        .map_err(|why| anyhow::anyhow!("{shown}: {why}\nhint: `skep plan --out plan.json` makes one"))?;
    let composed = compose::load(settings, Reads::Everything)?;
    let view = View::open(settings, &composed.title());
    let app = app(settings, composed, &view, shipping).await?;
    let done = skep_deploy::deploy_saved(&app, saved).await;
    view.close();
    report::shipped(settings, &app, &done?);
    Ok(())
}

/// What the arguments ask for.
pub(crate) fn request(what: args::What) -> DeployRequest {
    let images = match (what.tag, what.skip_build) {
        (Some(tag), _) => Images::Tagged(tag),
        (None, true) => Images::AsTheyAre,
        (None, false) => Images::Build,
    };
    DeployRequest { services: what.services, images, recreate: what.recreate, ..DeployRequest::default() }
}

/// One service, now; then its logs.
pub(crate) async fn hotfix(settings: &Settings, hotfix: args::Hotfix) -> Result<()> {
    let args::Hotfix { service, tag, shipping } = hotfix;
    let images = tag.map_or(Images::Build, Images::Tagged);
    let services = vec![service.clone()];
    let request = DeployRequest { services, images, hotfix: true, ..DeployRequest::default() };
    ship(settings, request, shipping).await?;
    logs::run(
        settings,
        args::Logs { services: vec![service], follow: true, tail: Some(20), since: None, previous: false },
    )
    .await
}

/// The app, as the arguments want it shipped.
pub(crate) async fn app(
    settings: &Settings,
    composed: compose::Composed,
    view: &View,
    shipping: args::Shipping,
) -> Result<App> {
    let app = compose::app(settings, composed, view.emit()).await?;
    Ok(App { wait: shipping.wait, restore: !shipping.no_restore, ..app })
}

/// Deploys what the settings name.
pub(crate) async fn ship(
    settings: &Settings,
    request: DeployRequest,
    shipping: args::Shipping,
) -> Result<()> {
    let composed = compose::load(settings, Reads::Everything)?;
    let view = View::open(settings, &composed.title());
    let app = app(settings, composed, &view, shipping).await?;
    let done = skep_deploy::deploy(&app, &request).await;
    view.close();
    report::shipped(settings, &app, &done?);
    Ok(())
}
