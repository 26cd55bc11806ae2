//! The resolve step: the only place that reads the environment and the terminal.

use std::{
    env,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use miette::MietteHandlerOpts;

use crate::{
    args::{Cli, Output},
    terminal,
};

/// How a deploy is shown while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Lines that move, on a terminal.
    Live,
    /// A line an event.
    Plain,
    /// The same, as the runners of GitHub and Gitea fold and mark it.
    Actions,
    /// One JSON object a line.
    Json,
    /// Nothing but the result.
    Quiet,
}

/// Where the private age key is.
#[derive(Clone)]
pub(crate) enum AgeKey {
    /// Given as it is, as a CI does.
    Text(String),
    File(PathBuf),
}

/// Shows no key.
impl std::fmt::Debug for AgeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Everything that a command may depend on besides its own arguments.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) dir: PathBuf,
    pub(crate) target: String,
    pub(crate) show: Show,
    pub(crate) json: bool,
    /// Where hive keeps its state.
    #[cfg_attr(
        not(all(feature = "hive", target_os = "linux")),
        expect(dead_code, reason = "this build has no hive")
    )]
    pub(crate) hive_dir: PathBuf,
    /// Where layers are kept between builds.
    pub(crate) cache_dir: PathBuf,
    /// The age key that encrypted env files are read with.
    pub(crate) age_key: AgeKey,
    pub(crate) home: PathBuf,
    pub(crate) user: String,
    pub(crate) host: String,
}

impl Settings {
    pub(crate) fn resolve(cli: &Cli) -> Self {
        let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let base = |variable: &str, fallback: &str| {
            env::var_os(variable)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| home.join(fallback))
        };
        let hive_dir = env::var_os("SKEP_HIVE_DIR")
            .map(|dir| absolute(Path::new(&dir)))
            .unwrap_or_else(|| base("XDG_STATE_HOME", ".local/state").join("skep/hive"));
        let show = match (cli.output, cli.quiet) {
            (Output::Json, _) => Show::Json,
            (Output::Text, true) => Show::Quiet,
            (Output::Text, false) if env::var("GITHUB_ACTIONS").is_ok_and(|set| set == "true") => {
                Show::Actions
            }
            (Output::Text, false) if std::io::stderr().is_terminal() && env::var_os("CI").is_none() => {
                Show::Live
            }
            (Output::Text, false) => Show::Plain,
        };
        Self {
            dir: absolute(&cli.dir),
            target: cli.target.clone(),
            show,
            json: cli.output == Output::Json,
            hive_dir,
            cache_dir: base("XDG_CACHE_HOME", ".cache").join("skep"),
            age_key: match (env::var("SKEP_AGE_KEY"), env::var_os("SKEP_AGE_KEY_FILE")) {
                (Ok(text), _) if !text.is_empty() => AgeKey::Text(text),
                (_, Some(path)) if !path.is_empty() => AgeKey::File(absolute(Path::new(&path))),
                _ => AgeKey::File(base("XDG_CONFIG_HOME", ".config").join("skep/age.key")),
            },
            user: user(),
            host: nix::unistd::gethostname()
                .ok()
                .and_then(|name| name.into_string().ok())
                .unwrap_or_else(|| "unknown".to_owned()),
            home,
        }
    }

    /// What the whole process needs once: the TLS provider, the log.
    pub(crate) fn install(&self) {
        // Paths and commands are copied out of messages: they are never broken in the middle.
        let frame = || MietteHandlerOpts::new().width(100).break_words(false).build();
        let _ = miette::set_hook(Box::new(move |_| Box::new(frame())));
        // An error means that it is installed already, which is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let filter = tracing_subscriber::EnvFilter::try_from_env("SKEP_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error,kube_client=off,kube_runtime=off"));
        // A log that can't be written (a full disk) must not take the process with it.
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| terminal::LogWriter);
        log.with_ansi(false).log_internal_errors(false).init();
    }
}

/// The account that Skep runs as; services of a CI have no `USER`.
fn user() -> String {
    let account = || Some(nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??.name);
    env::var("USER")
        .ok()
        .filter(|user| !user.is_empty())
        .or_else(account)
        .unwrap_or_else(|| "unknown".to_owned())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
