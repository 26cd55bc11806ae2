//! `skep hive` in a build without it.

use anyhow::{Result, bail};

use crate::{args, settings::Settings};

const WHY: &str = "this build of Skep carries no hive\nhint: name a cluster with `-t TARGET`, or build on Linux with the `hive` feature";

pub(crate) async fn run(_settings: &Settings, _hive: args::Hive) -> Result<()> {
    bail!(WHY)
}

pub(crate) async fn start(_settings: &Settings, _up: &args::Up) -> Result<()> {
    bail!(WHY)
}

pub(crate) async fn stop(_settings: &Settings, _wiped: bool) -> Result<()> {
    bail!(WHY)
}

pub(crate) fn wipe(_settings: &Settings) -> Result<()> {
    bail!(WHY)
}

pub(crate) fn running(_settings: &Settings) -> Result<Running> {
    bail!(WHY)
}

/// A hive that runs: never, here.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) kubeconfig: std::path::PathBuf,
    pub(crate) registry: String,
    pub(crate) ingress_port: u16,
}
