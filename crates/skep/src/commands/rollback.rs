//! `skep rollback`.

use anyhow::Result;
use skep_deploy::RollbackRequest;

use crate::{
    args,
    compose::{self, Needs},
    report,
    settings::Settings,
    view::View,
};

pub(crate) async fn run(settings: &Settings, rollback: &args::Rollback) -> Result<()> {
    let composed = compose::load(settings, Needs::Registry)?;
    let view = View::open(settings, &composed.title());
    let app = compose::app(settings, composed, view.emit()).await?;
    let done = skep_deploy::rollback(&app, &RollbackRequest { to: rollback.release }).await;
    view.close();
    report::shipped(settings, &app, &done?);
    Ok(())
}
