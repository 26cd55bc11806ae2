//! What is done to services and to the bucket between releases.

use clap::{Args, Subcommand};

use super::Shipping;

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

#[derive(Debug, Subcommand)]
pub(crate) enum Bucket {
    /// What becomes of old objects
    #[command(subcommand)]
    Lifecycle(LifecycleRules),
    /// Which pages may send to it and read from it
    #[command(subcommand)]
    Cors(BucketRules),
    /// Copy objects to another prefix of the bucket; nothing is overwritten or deleted
    Copy(BucketCopy),
}

#[derive(Debug, Args)]
pub(crate) struct BucketCopy {
    /// The prefix of the objects, such as uploads/
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// The prefix of the copies, such as files/
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    /// Only report what would be copied
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to do about a bucket's lifecycle rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum LifecycleRules {
    /// Show the bucket's rules, and how to set them by hand on Backblaze B2
    Show,
    /// Show what `apply` would change and how many objects that would hide or delete; exit code 2 if anything
    Plan,
    /// Set the rules of skep.yaml; keep all others
    Apply {
        /// Allow the rules to hide or delete exactly N objects that exist now, as `plan` counts them
        #[arg(long, value_name = "N")]
        delete_existing: Option<u64>,
    },
    /// Exit with code 11 unless the bucket has the rules of skep.yaml and none affects `keep`
    Verify,
}

impl LifecycleRules {
    pub(crate) fn plain(self) -> BucketRules {
        match self {
            Self::Show => BucketRules::Show,
            Self::Plan => BucketRules::Plan,
            Self::Apply { .. } => BucketRules::Apply,
            Self::Verify => BucketRules::Verify,
        }
    }
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

/// `api=3`, `api=manifest`.
fn scaled(text: &str) -> Result<(String, Option<u32>), String> {
    let wrong = || "expected a service and a number, such as `api=3`, or `api=manifest`".to_owned();
    let (service, replicas) = text.split_once('=').ok_or_else(wrong)?;
    match replicas {
        "manifest" => Ok((service.to_owned(), None)),
        number => Ok((service.to_owned(), Some(number.parse().map_err(|_| wrong())?))),
    }
}
