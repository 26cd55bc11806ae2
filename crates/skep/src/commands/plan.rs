//! `skep plan` and `skep diff`: what a deploy would do. Exit code 0 for nothing, 2 for something.

use std::process::ExitCode;

use anyhow::Result;
use skep_deploy::Plan;

use super::deploy;
use crate::{
    args,
    compose::{self, Needs},
    exit, report,
    settings::Settings,
    view::View,
};

/// What each service gets, and why.
pub(crate) async fn plan(settings: &Settings, plan: args::Plan) -> Result<ExitCode> {
    make(settings, plan, |settings, plan, title| match settings.json {
        true => report::plan_json(plan),
        false => report::plan(plan, title),
    })
    .await
}

/// Each field.
pub(crate) async fn diff(settings: &Settings, plan: args::Plan) -> Result<ExitCode> {
    make(settings, plan, |settings, plan, title| match settings.json {
        true => report::plan_json(plan),
        false => report::diff(plan, title),
    })
    .await
}

async fn make(
    settings: &Settings,
    arguments: args::Plan,
    show: impl Fn(&Settings, &Plan, &str),
) -> Result<ExitCode> {
    let composed = compose::load(settings, Needs::Contents)?;
    let title = composed.title();
    let view = View::open(settings, &title);
    let app = compose::app(settings, composed, view.emit()).await?;
    let planned = skep_deploy::plan(&app, &deploy::request(arguments.what)).await;
    view.close();
    let plan = planned?;
    show(settings, &plan, &title);
    Ok(if plan.is_empty() && plan.drift().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::CHANGES)
    })
}
