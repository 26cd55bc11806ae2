//! What ships, takes back or changes what is shipped.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::release_number;

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
pub(crate) struct Unlock {
    /// Why; its holder is told
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Which keys differ from what runs, and which services would restart
    Diff,
    /// Ship them: a release with the images and manifests of the last one
    Apply(Shipping),
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

/// Fewer characters would be any commit's.
fn commit(text: &str) -> Result<String, String> {
    match text.len() {
        0..4 => Err("expected four or more characters of a commit or tag".to_owned()),
        _ => Ok(text.to_owned()),
    }
}
