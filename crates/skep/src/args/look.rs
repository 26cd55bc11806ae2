//! What only looks.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{What, release_number};

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) what: What,
    /// Save the plan, for `skep deploy --plan FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) what: What,
}

#[derive(Debug, Args)]
pub(crate) struct Diagnose {
    /// The service; all if not given
    pub(crate) service: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The release, `12` or `v12`; the newest if not given
    #[arg(value_parser = release_number)]
    pub(crate) release: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The service
    pub(crate) service: String,
}

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// The release, `12` or `v12`; the newest that failed if not given
    #[arg(value_parser = release_number)]
    pub(crate) release: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The release, `12` or `v12`; the newest if not given
    #[arg(value_parser = release_number)]
    pub(crate) release: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The release, `12` or `v12`, or the file of a bundle; the newest that failed if not given
    pub(crate) of: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The services; all if none is named
    pub(crate) services: Vec<String>,
    /// Go on as they grow, and with pods that come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last N lines of each container
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u32>,
    /// Only what is not older: 90s, 10m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = skep_project::duration)]
    pub(crate) since: Option<Duration>,
    /// Of the containers that ended before those that run
    #[arg(short, long, conflicts_with = "follow")]
    pub(crate) previous: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Go on, and show it again whenever it changes
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// One service and its pods; all if not given
    pub(crate) service: Option<String>,
    /// Go on as they come
    #[arg(short, long)]
    pub(crate) watch: bool,
}
