//! `skep plan` and `skep diff`: what a deploy would do. Exit code 0 for nothing, 2 for something.

use std::process::ExitCode;

use anyhow::{Context, Result};
use skep_deploy::{App, DeployRequest, Plan, SavedPlan};
use skep_project::Reads;

use super::deploy;
use crate::{args, compose, exit, private_file, report, settings::Settings, view::View};

/// What each service gets, and why.
pub(crate) async fn plan(settings: &Settings, arguments: args::Plan) -> Result<ExitCode> {
    let (app, plan, title) = make(settings, deploy::request(arguments.what)).await?;
    if let Some(file) = &arguments.out {
        let saved = serde_json::to_vec_pretty(&SavedPlan::of(&app, &plan)?)?;
        private_file::write(&settings.dir.join(file), &saved)
            .with_context(|| format!("can't write {}", file.display()))?;
    }
    match settings.json {
        true => report::plan_json(&plan),
        false => report::plan(&plan, &title, arguments.out.as_deref()),
    }
    Ok(code(&plan))
}

/// Each field.
pub(crate) async fn diff(settings: &Settings, arguments: args::Diff) -> Result<ExitCode> {
    let (_, plan, title) = make(settings, deploy::request(arguments.what)).await?;
    match settings.json {
        true => report::plan_json(&plan),
        false => report::diff(&plan, &title),
    }
    Ok(code(&plan))
}

/// Plans, and says what is being planned.
pub(super) async fn make(settings: &Settings, request: DeployRequest) -> Result<(App, Plan, String)> {
    let composed = compose::load(settings, Reads::Everything)?;
    let title = composed.title();
    let view = View::open(settings, &title);
    let app = compose::app(settings, composed, view.emit()).await?;
    let planned = skep_deploy::plan(&app, &request).await;
    view.close();
    Ok((app, planned?, title))
}

/// 0 for nothing, 2 for something.
pub(super) fn code(plan: &Plan) -> ExitCode {
    if plan.has_changes() { ExitCode::from(exit::CHANGES) } else { ExitCode::SUCCESS }
}
