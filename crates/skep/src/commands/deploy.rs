//! `skep deploy`.

use anyhow::Result;
use skep_deploy::{DeployRequest, Images};

use crate::{
    args,
    compose::{self, Needs},
    report,
    settings::Settings,
    view::View,
};

pub(crate) async fn run(settings: &Settings, deploy: args::Deploy) -> Result<()> {
    ship(settings, request(deploy.what)).await
}

/// What the arguments ask for.
pub(crate) fn request(what: args::What) -> DeployRequest {
    let images = match (what.tag, what.skip_build) {
        (Some(tag), _) => Images::Tagged(tag),
        (None, true) => Images::AsTheyAre,
        (None, false) => Images::Build,
    };
    DeployRequest { services: what.services, images, settle: false }
}

/// Deploys what the settings name.
pub(crate) async fn ship(settings: &Settings, request: DeployRequest) -> Result<()> {
    let composed = compose::load(settings, Needs::Contents)?;
    let view = View::open(settings, &composed.title());
    let app = compose::app(settings, composed, view.emit()).await?;
    let done = skep_deploy::deploy(&app, &request).await;
    view.close();
    report::shipped(settings, &app, &done?);
    Ok(())
}
