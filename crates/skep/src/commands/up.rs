//! `skep up`: hive if `local` is hive and it is not running, then deploy to `local`.

use anyhow::Result;
use skep_deploy::DeployRequest;
use skep_project::Reads;

use super::{deploy, hive};
use crate::{args, compose, settings::Settings};

pub(crate) async fn run(settings: &Settings, up: &args::Up) -> Result<()> {
    let settings = Settings { target: skep_project::LOCAL.to_owned(), ..settings.clone() };
    if compose::load(&settings, Reads::Address)?.is_on_hive() {
        hive::start(&settings, up).await?;
    }
    let request = DeployRequest { settle: true, ..DeployRequest::default() };
    deploy::ship(&settings, request, args::Shipping::default()).await
}
