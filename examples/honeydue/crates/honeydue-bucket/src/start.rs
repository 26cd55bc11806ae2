//! From the environment to a served bucket, and to its exit code.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use honeydue_service::{Drain, SettingError, address, serve, settings};

use crate::{Rule, Settings, router, sweep};

/// How often the rule is looked after.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Seven days to be seen, and one more: as long as the rule of production's bucket.
const PENDING_LIVES: Duration = Duration::from_secs(8 * 24 * 3600);

/// Runs the bucket until it is told to leave.
pub async fn start() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the bucket stops");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let drain = Drain::from_environment()?;
    let settings = from_environment()?;
    let router = router(&settings)?;
    let listener = address::bind(address::from_environment(9000)?).await?;
    let bucket = settings.root.join(&settings.bucket);
    let rule = Rule { prefix: "uploads/".to_owned(), lives: PENDING_LIVES };
    let sweeping = tokio::spawn(async move {
        loop {
            match sweep(&bucket, &rule, SystemTime::now()) {
                Ok(0) => {}
                Ok(gone) => tracing::info!(gone, "what waited too long is deleted"),
                Err(error) => tracing::error!(%error, "what waited too long is not all deleted"),
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    });
    let served = serve(listener, router, &drain).await;
    sweeping.abort();
    Ok(served?)
}

fn from_environment() -> Result<Settings, SettingError> {
    let origins = settings::config("BUCKET_ORIGINS")?;
    let origins: Result<_, _> = origins.split_whitespace().map(str::parse).collect();
    Ok(Settings {
        root: PathBuf::from(settings::text("BUCKET_FOLDER", "/data")),
        bucket: settings::config("B2_BUCKET")?,
        key_id: settings::secret("B2_KEY_ID")?,
        secret: settings::secret("B2_APP_KEY")?,
        origins: origins.map_err(|_| SettingError::Unreadable {
            name: "BUCKET_ORIGINS",
            expected: "pages' origins such as http://web.localhost:8080, with spaces between them",
        })?,
    })
}
