//! CustomResourceDefinitions: what uses them waits until the API serves their kinds.

use std::time::Duration;

use serde_json::Value;
use skep_cluster::Selector;
use skep_model::{ObjectKey, Step};
use skep_rollout::workload::condition;
use tokio::time::Instant;

use crate::{
    App, Failure,
    error::{InStep, Problem},
    session::Session,
};

/// How often a definition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the API may take to serve a new kind.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until the API serves the kinds that these objects define.
///
/// # Errors
/// When the API rejects a definition's names, or doesn't serve it in time.
pub(super) async fn served(
    app: &App,
    session: &Session,
    objects: &[Value],
    step: Step,
) -> Result<(), Failure> {
    let since = Instant::now();
    for definition in objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        let Some(key) = ObjectKey::of(definition) else { continue };
        while !is_served(app, &key, definition, step).await? {
            session.may_write(step).await?;
            if since.elapsed() > TIMEOUT {
                let what =
                    format!("{key}: the API doesn't serve it {} s after it was applied", TIMEOUT.as_secs());
                let hint = format!("check `kubectl describe crd {}`, then deploy again", key.name);
                return Err(Failure::at(step, Problem::Project { what, hint }));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

async fn is_served(app: &App, key: &ObjectKey, definition: &Value, step: Step) -> Result<bool, Failure> {
    let Some(live) = app.cluster.get(key).await.in_step(step)? else { return Ok(false) };
    if let Some(refused) = condition(&live, "NamesAccepted").filter(|accepted| accepted["status"] == "False")
    {
        let what = format!("{key}: {}", refused["message"].as_str().unwrap_or("its names are taken"));
        let hint = "choose names that no other CustomResourceDefinition has".to_owned();
        return Err(Failure::at(step, Problem::Project { what, hint }));
    }
    if condition(&live, "Established").is_none_or(|established| established["status"] != "True") {
        return Ok(false);
    }
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|version| version["served"] == true) {
        let api_version = format!("{group}/{}", version["name"].as_str().unwrap_or_default());
        // Discovery and the handler follow the condition with a delay.
        let Ok(route) = app.cluster.route(&api_version, kind).await else { return Ok(false) };
        let listed = app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await;
        if listed.is_err_and(|error| error.is_not_found()) {
            return Ok(false);
        }
    }
    Ok(true)
}
