//! `skep promote`: what was tried on one target is what another gets, to the byte.

use anyhow::{Result, bail};
use skep_deploy::{DeployRequest, Images};
use skep_model::Emit;
use skep_project::Reads;

use super::deploy;
use crate::{args, compose, settings::Settings};

pub(crate) async fn run(settings: &Settings, promote: args::Promote) -> Result<()> {
    if settings.target != skep_project::LOCAL {
        bail!("`-t {}` says nothing here: `skep promote FROM TO` names both targets", settings.target);
    }
    let from = Settings { target: promote.from, ..settings.clone() };
    let there = compose::app(&from, compose::load(&from, Reads::Registry)?, Emit::nowhere()).await?;
    let running = skep_deploy::running(&there).await?;
    let to = Settings { target: promote.to, ..settings.clone() };
    let request = DeployRequest { images: Images::Promoted(Box::new(running)), ..DeployRequest::default() };
    deploy::ship(&to, request, promote.shipping).await
}
