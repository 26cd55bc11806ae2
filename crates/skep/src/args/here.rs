//! This machine: a first file, and hive.

use clap::{Args, Subcommand, ValueEnum};

use super::Up;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Write a workflow too: a push is checked, a tag goes to staging, production is promoted by hand
    #[arg(long, value_enum)]
    pub(crate) ci: Option<Forge>,
}

/// Where a workflow runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Forge {
    Gitea,
    Github,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Remove hive's data too: databases, images, releases
    #[arg(long)]
    pub(crate) wipe: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hive {
    /// Start it in the background, if it is not running
    Start(Up),
    /// Stop it and every pod; its data stays
    Stop,
    /// Whether it runs, and where
    Status,
    /// Print the path of its kubeconfig, for kubectl
    Kubeconfig,
    /// Run it in the foreground
    #[command(hide = true)]
    Run(Up),
}
