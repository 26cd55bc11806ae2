//! The command line, as data. Nothing here acts.

mod here;
mod look;
mod operate;
mod ship;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use self::{here::*, look::*, operate::*, ship::*};

const HELP: &str = "\
{before-help}{about}

Usage: skep [-C DIR] [-t TARGET] COMMAND

Ship
  up           Start hive, the cluster on this machine, and deploy to it
  deploy       Build, push, plan, migrate, apply, roll, verify, record
  config       Look at, or ship, changed config and secrets alone
  secret       Set, remove or rotate secrets in an encrypted file
  promote      Ship what runs on one target to another, with its own config
  rollback     Put an earlier release back, with its config and secrets
  unlock       Free the lock of a deploy that can't be asked to stop

Operate
  restart, scale, pause, resume   A service between releases
  run          A command, with the image and the settings of a service
  hotfix       Ship one service now, and follow its logs
  bucket       What the bucket does with old files, and which pages may send

Look
  check        What is wrong, or could be better, before anything moves
  plan, diff   What a deploy would do, and which services restart; each field
  status, describe   What runs now; all about one service
  diagnose     What is wrong with a service, with evidence and what to do
  history, show, report   Every release that is kept; one of them; as a page
  bundle, replay   What was found when a release failed; its rollout again
  logs, events   What the services print; what the cluster says of them

This machine
  init         Write a skep.yaml for what lies here; --ci a workflow too
  hive         Start, stop or look at the one-machine cluster
  down         Stop hive; with --wipe its data too
  completions  Print completions for a shell

Options
{options}

Examples
  skep up                        everything, on this machine
  skep deploy api                build and roll one service
  skep deploy -t production      ship to the cluster that skep.yaml calls so

`skep COMMAND --help` says more of each.";

/// Ships a small fleet of services to Kubernetes, or to this machine.
#[derive(Debug, Parser)]
#[command(name = "skep", version, about, help_template = HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// Work as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, default_value = ".", hide_default_value = true)]
    pub(crate) dir: PathBuf,
    /// A target of skep.yaml; `local` is this machine
    #[arg(
        short,
        long,
        global = true,
        default_value = "local",
        hide_default_value = true,
        env = "SKEP_TARGET",
        hide_env = true
    )]
    pub(crate) target: String,
    /// Text, or one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, hide_default_value = true, hide_possible_values = true, value_name = "text|json")]
    pub(crate) output: Output,
    /// Only errors and the result
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start hive, the cluster on this machine, and deploy to it
    Up(Up),
    /// Build, push, plan, migrate, apply, roll, verify, record
    Deploy(Deploy),
    /// Ship the very images that run on one target to another, with that one's config
    Promote(Promote),
    /// Put an earlier release back, with its config and secrets
    Rollback(Rollback),
    /// Look at, or ship, changed config and secrets alone
    #[command(subcommand)]
    Config(Config),
    /// Set, remove or rotate secrets in an encrypted file
    #[command(subcommand)]
    Secret(Secret),
    /// What the app's bucket does by itself: old objects, and which pages may speak to it
    #[command(subcommand)]
    Bucket(Bucket),
    /// Free the lock of a deploy that can't be asked to stop
    Unlock(Unlock),
    /// New pods of these services, the same release
    Restart(Services),
    /// More or fewer pods of a service, until the manifest decides again
    Scale(Scale),
    /// Let no new pods of these services come
    Pause(Services),
    /// Let them come again
    Resume(Services),
    /// Run a command with the image, the config and the secrets of a service
    Run(Run),
    /// Ship one service now: what is only advised becomes a warning; then its logs are followed
    Hotfix(Hotfix),
    /// Everything that can be known to be wrong, or could be better, before anything moves
    Check,
    /// What a deploy would do, and which services restart and why
    Plan(Plan),
    /// The same field by field, against what lives in the cluster
    Diff(Diff),
    /// What runs now
    Status(Status),
    /// What is wrong with the services that run: the cause, the evidence, what to do
    Diagnose(Diagnose),
    /// Every release that is kept, newest first, and what each changed
    History,
    /// One release: images, config, timings, what it changed, how it ended
    Show(Show),
    /// All about one service: what it runs, reads, who reaches it, its pods, what was said
    Describe(Describe),
    /// What was found when a release failed, as a file
    Bundle(Bundle),
    /// One release as a page: what changed, where the time went, what went wrong
    Report(Report),
    /// Judge the rollout of a release that failed once more, from what was seen then
    Replay(Replay),
    /// What a service's pods print
    Logs(Logs),
    /// What the cluster says of the services: its Events, oldest first
    Events(Events),
    /// Look at what lies here and write a skep.yaml that works
    Init(Init),
    /// Start, stop or look at the one-machine cluster
    #[command(subcommand)]
    Hive(Hive),
    /// Stop hive; with --wipe its data too
    Down(Down),
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Write a man page for Skep and one for each command
    #[command(hide = true)]
    ManPages {
        /// Where to
        folder: PathBuf,
    },
}

fn release_number(text: &str) -> Result<u64, String> {
    text.trim_start_matches('v')
        .parse()
        .map_err(|_| "expected a release number, such as `12` or `v12`".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn releases_are_named_as_history_shows_them() {
        assert_eq!(release_number("v12"), Ok(12));
        assert_eq!(release_number("12"), Ok(12));
        assert!(release_number("last").is_err());
    }
}
