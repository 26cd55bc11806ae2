//! `skep rollback`.

use anyhow::Result;
use skep_deploy::{App, RollbackRequest, RollbackTo};
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings, view::View};

pub(crate) async fn run(settings: &Settings, rollback: &args::Rollback) -> Result<()> {
    let composed = compose::load(settings, Reads::Registry)?;
    let view = View::open(settings, &composed.title());
    let app = App { wait: rollback.wait, ..compose::app(settings, composed, view.emit()).await? };
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
