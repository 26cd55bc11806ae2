//! The command line, as data. Nothing here acts.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

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

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The port that `http://*.localhost` is served on; kept from then on
    #[arg(long, env = "SKEP_HTTP_PORT", hide_env = true)]
    pub(crate) port: Option<u16>,
}

/// Which services and which images: the same for all that plan.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// Only these services; the others stay as their last release has them
    pub(crate) services: Vec<String>,
    /// Take the images of this commit if the registry has them, else the last release's
    #[arg(long)]
    pub(crate) skip_build: bool,
    /// Take the images that carry this tag
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) tag: Option<String>,
    /// Delete this object and make it anew, for a field that can't be changed in place; may be given again
    #[arg(long, value_name = "KIND/NAME")]
    pub(crate) recreate: Vec<String>,
}

/// What all that make a release can be told.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Shipping {
    /// Wait for another deploy of this app to end
    #[arg(long)]
    pub(crate) wait: bool,
    /// If it fails, leave everything as it then is, instead of putting the last good release back
    #[arg(long)]
    pub(crate) no_restore: bool,
}

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
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) what: What,
    /// Carry out exactly this saved plan, or refuse because the cluster has moved
    #[arg(long, value_name = "FILE", conflicts_with_all = ["services", "skip_build", "tag", "recreate"])]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shipping: Shipping,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The target where it runs, such as `staging`
    pub(crate) from: String,
    /// The target that gets it, such as `production`
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) shipping: Shipping,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The release, `12` or `v12`; the last good one before the current if not given
    #[arg(value_parser = release_number)]
    pub(crate) release: Option<u64>,
    /// Only this service, with the config that it read there; may be given again
    #[arg(long = "service", value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// The release of this commit; where none is kept, the images that carry this tag
    #[arg(long, value_name = "SHA", conflicts_with = "release", value_parser = commit)]
    pub(crate) tag: Option<String>,
    /// Delete this object and make it anew, for a field that can't be changed in place; may be given again
    #[arg(long, value_name = "KIND/NAME")]
    pub(crate) recreate: Vec<String>,
    #[command(flatten)]
    pub(crate) shipping: Shipping,
}

#[derive(Debug, Args)]
pub(crate) struct Services {
    /// The services
    #[arg(required = true, value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Wait for a deploy of this app to end
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// `api=3`; `api=manifest` gives it back to the manifest, from the next deploy on
    #[arg(required = true, value_name = "SERVICE=N", value_parser = scaled)]
    pub(crate) services: Vec<(String, Option<u32>)>,
    /// Wait for a deploy of this app to end
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The service
    pub(crate) service: String,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Hotfix {
    /// The service
    pub(crate) service: String,
    /// Take the image that carries this tag, instead of building it
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) tag: Option<String>,
    #[command(flatten)]
    pub(crate) shipping: Shipping,
}

#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// Why; its holder is told
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
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
pub(crate) enum Config {
    /// Which keys differ from what runs, and which services would restart
    Diff,
    /// Ship them: a release with the images and manifests of the last one
    Apply(Shipping),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bucket {
    /// What becomes of old objects
    #[command(subcommand)]
    Lifecycle(BucketRules),
    /// Which pages may send to it and read from it
    #[command(subcommand)]
    Cors(BucketRules),
}

/// What to do about a bucket's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum BucketRules {
    /// The rules that the bucket has; of a lifecycle on Backblaze B2 also how to set them by hand
    Show,
    /// What `apply` would change; exit code 2 if anything
    Plan,
    /// Set the rules of skep.yaml; those of others stay
    Apply,
    /// Exit code 11 unless the bucket has the rules of skep.yaml, and none that reaches what is kept
    Verify,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// What each Secret of the target holds, and where it is from; never a value
    List,
    /// Put a value into the encrypted env file: from standard input, or asked for
    Set {
        /// The key, such as `SMTP_PASSWORD`
        name: String,
        /// The file, where several could be meant
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Take a key out of the encrypted env file
    Unset {
        /// The key
        name: String,
        /// The file, where several could be meant
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Give keys new random values; without any, encrypt the files anew for the recipients of today
    Rotate {
        /// The keys
        names: Vec<String>,
        /// The file, where several could be meant
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Make your age key, if you have none, and print its public half
    Keygen,
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

/// `api=3`, `api=manifest`.
fn scaled(text: &str) -> Result<(String, Option<u32>), String> {
    let wrong = || "expected a service and a number, such as `api=3`, or `api=manifest`".to_owned();
    let (service, replicas) = text.split_once('=').ok_or_else(wrong)?;
    match replicas {
        "manifest" => Ok((service.to_owned(), None)),
        number => Ok((service.to_owned(), Some(number.parse().map_err(|_| wrong())?))),
    }
}

/// Fewer characters would be any commit's.
fn commit(text: &str) -> Result<String, String> {
    match text.len() {
        0..4 => Err("expected four or more characters of a commit or tag".to_owned()),
        _ => Ok(text.to_owned()),
    }
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
