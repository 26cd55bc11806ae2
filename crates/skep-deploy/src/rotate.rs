//! `skep secret rotate` of values that Skep made itself.

use skep_cluster::Force;
use skep_model::Step;

use crate::{App, Failure, error::InStep, keys::Keys};

/// Makes new values for a generated key; the next deploy ships them and rolls who reads them. Answers which Secrets have that key.
///
/// # Errors
/// When the API fails.
pub async fn rotate(app: &App, key: &str) -> Result<Vec<String>, Failure> {
    let sets: Vec<String> = app
        .project
        .secrets
        .iter()
        .filter(|(_, set)| set.generate.iter().any(|generated| generated == key))
        .map(|(name, _)| name.clone())
        .collect();
    let mut keys = Keys::read(app).await.in_step(Step::Load)?;
    for set in &sets {
        keys.rotate(set, key);
    }
    if let Some(secret) = keys.to_write(app.project.app.as_str()) {
        app.cluster.apply(&secret, Force::Yes).await.in_step(Step::Apply)?;
    }
    Ok(sets)
}
