//! `skep down`: stop hive and every pod; with `--wipe` its data too.

use anyhow::{Result, bail};

use super::hive;
use crate::{args, settings::Settings};

pub(crate) async fn run(settings: &Settings, down: &args::Down) -> Result<()> {
    if settings.target != skep_project::LOCAL {
        bail!(
            "`down` is for this machine, and the target is `{}`\nhint: to take an app off a cluster, delete its namespace with kubectl",
            settings.target
        );
    }
    hive::stop(settings, down.wipe).await?;
    if down.wipe {
        hive::wipe(settings)?;
    }
    Ok(())
}
