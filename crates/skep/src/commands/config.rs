//! `skep config`: changed config and secrets alone, with the images and manifests of the last release.

use std::process::ExitCode;

use anyhow::Result;
use skep_deploy::DeployRequest;

use super::{deploy, plan};
use crate::{args, report, settings::Settings};

pub(crate) async fn run(settings: &Settings, config: args::Config) -> Result<ExitCode> {
    let request = DeployRequest { config_only: true, ..DeployRequest::default() };
    match config {
        args::Config::Diff => {
            let (_, plan, title) = plan::make(settings, request).await?;
            match settings.json {
                true => report::plan_json(&plan),
                false => report::config_diff(&plan, &title),
            }
            Ok(plan::code(&plan))
        }
        args::Config::Apply(shipping) => {
            deploy::ship(settings, request, shipping).await.map(|()| ExitCode::SUCCESS)
        }
    }
}
