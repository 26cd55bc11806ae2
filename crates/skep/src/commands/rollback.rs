//! `skep rollback`.

use anyhow::Result;
use skep_deploy::{RollbackRequest, RollbackTo};
use skep_project::Reads;

use super::deploy;
use crate::{args, compose, report, settings::Settings, view::View};

pub(crate) async fn run(settings: &Settings, rollback: &args::Rollback) -> Result<()> {
    let composed = compose::load(settings, Reads::Registry)?;
    let view = View::open(settings, &composed.title());
    let app = deploy::app(settings, composed, &view, rollback.shipping).await?;
    let to = match (rollback.release, &rollback.tag) {
        (Some(number), _) => RollbackTo::Release(number),
        (None, Some(tag)) => RollbackTo::Tag(tag.clone()),
        (None, None) => RollbackTo::LastGood,
    };
    let request =
        RollbackRequest { to, services: rollback.services.clone(), recreate: rollback.recreate.clone() };
    let done = skep_deploy::rollback(&app, &request).await;
    view.close();
    report::shipped(settings, &app, &done?);
    Ok(())
}
