//! `skep unlock`: the way out when whoever holds the lock can't be asked to stop.

use skep_cluster::Holder;
use skep_model::Step;

use crate::{App, Failure, error::InStep};

/// Frees the app's lock; its holder stops writing within seconds and is told who did it and why. Answers who held it.
///
/// # Errors
/// When the API fails.
pub async fn unlock(app: &App, reason: &str) -> Result<Option<Holder>, Failure> {
    let me = &app.author.holder;
    let reason: Vec<&str> = reason.split_whitespace().collect();
    let why = format!("{}@{} unlocked it: {}", me.user, me.host, reason.join(" "));
    skep_cluster::unlock(&app.cluster, app.namespace(), &app.project.app, &why).await.in_step(Step::Lock)
}
