//! What a page about a release is made of.

use crate::{App, Failure, HistoryEntry, bundle, show};

/// A release, and what was said of its failure.
#[derive(Debug, Clone)]
pub struct Report {
    /// The release and what it changed.
    pub entry: HistoryEntry,
    /// Cause, evidence and hint, as they were told when it failed; `None` where nothing was kept.
    pub told: Option<String>,
}

/// Of one release; of the newest if `number` is `None`.
///
/// # Errors
/// When there is none, or the API fails.
pub async fn report(app: &App, number: Option<u64>) -> Result<Report, Failure> {
    let entry = show(app, number).await?;
    let told = match &entry.release.failure {
        Some(_) => bundle::told_of(app, entry.release.number).await,
        None => None,
    };
    Ok(Report { entry, told })
}
