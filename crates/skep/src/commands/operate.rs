//! `skep restart`, `pause`, `resume` and `scale`.

use anyhow::Result;
use serde_json::json;
use skep_deploy::{App, Operation};
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings, view::View};

/// The same for each of these services.
pub(crate) async fn run(settings: &Settings, services: args::Services, operation: &Operation) -> Result<()> {
    let args::Services { services, wait } = services;
    let operations = services.into_iter().map(|service| (service, operation.clone())).collect();
    carry_out(settings, operations, wait).await
}

/// Each to its own number.
pub(crate) async fn scale(settings: &Settings, scale: args::Scale) -> Result<()> {
    let operation = |replicas: Option<u32>| replicas.map_or(Operation::Unscale, Operation::Scale);
    let operations =
        scale.services.into_iter().map(|(service, replicas)| (service, operation(replicas))).collect();
    carry_out(settings, operations, scale.wait).await
}

async fn carry_out(settings: &Settings, operations: Vec<(String, Operation)>, wait: bool) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    let view = View::open(settings, &composed.title());
    let app = App { wait, ..compose::app(settings, composed, view.emit()).await? };
    let done = skep_deploy::operate(&app, &operations).await;
    view.close();
    done?;
    for (service, operation) in operations {
        let done = match operation {
            Operation::Restart => "has new pods".to_owned(),
            Operation::Pause => "is paused: no new pods come until `skep resume`".to_owned(),
            Operation::Resume => "is no longer paused".to_owned(),
            Operation::Scale(replicas) => format!("has {replicas} replicas, whatever its manifest says"),
            Operation::Unscale => "has the replicas of its manifest, from the next deploy on".to_owned(),
        };
        match settings.json {
            true => report::json_line(json!({"type": "operated", "service": service, "done": done})),
            false => outln!("{service} {done}"),
        }
    }
    Ok(())
}
