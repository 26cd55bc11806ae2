//! What one `skep.yaml` describes, for one target, with every default filled in.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{AppName, Bucket, Check, Platform, Redactor};

/// An app as one target sees it. `skep-project` makes it from text; nothing here has been checked against a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// The app; it lives in `namespace`.
    pub app: AppName,
    /// The folder of skep.yaml. Every other path is absolute.
    pub root: PathBuf,
    /// `local`, `production`, …
    pub target: String,
    /// Which cluster the target is.
    pub cluster: Cluster,
    /// The app's namespace, by default its name.
    pub namespace: String,
    /// Where images go. `None` on `local`: hive's own registry.
    pub registry: Option<Registry>,
    /// What images are built for. By default the platform of this machine on `local`, `linux/amd64` elsewhere.
    pub platforms: Vec<Platform>,
    /// What builds Dockerfiles; `None`: whatever this machine has.
    pub builder: Option<Builder>,
    /// Images that Skep builds, by the name that manifests use.
    pub images: BTreeMap<String, Image>,
    /// Manifest folders and files, in order: a later object of the same kind and name is merged over an earlier one.
    pub manifests: Vec<PathBuf>,
    /// ConfigMaps to generate, by plain name.
    pub config: BTreeMap<String, ConfigSet>,
    /// Secrets to generate, by plain name.
    pub secrets: BTreeMap<String, SecretSet>,
    /// The public keys that encrypted env files are written for: those of every target, since targets share files.
    pub recipients: Vec<String>,
    /// The environment variables that skep.yaml names for secrets, for whatever use and target: no program that Skep starts inherits them.
    pub secret_variables: Vec<String>,
    /// Every env file that skep.yaml names, for whatever use and target.
    pub env_files: Vec<PathBuf>,
    /// Placeholders of the manifests, and what stands for them.
    pub substitute: BTreeMap<String, Substitute>,
    /// How many pods each of these workloads has here, whatever the manifests say.
    pub replicas: BTreeMap<String, u32>,
    /// What the values of config and secrets must be like.
    pub checks: Checks,
    /// The migration gate.
    pub migrate: Option<Migrate>,
    /// How long to be patient.
    pub rollout: RolloutPolicy,
    /// What must go well before a release is called good.
    pub verify: Vec<Check>,
    /// Whom the end of a release is told to.
    pub notify: Option<Notify>,
    /// The bucket that the app's files are in.
    pub bucket: Option<Bucket>,
    /// How many deployed releases are kept.
    pub keep_releases: usize,
}

/// The cluster of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cluster {
    /// The one-machine cluster that Skep carries.
    Hive,
    /// A named context of a kubeconfig. `context: None` is refused by the loader unless the file holds just one.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The context in it.
        context: Option<String>,
    },
}

/// A registry and the path prefix that images go under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// `registry.example.com/admin`: host, then an optional path.
    pub url: String,
    /// Spoken to without TLS, though it is not on this machine.
    pub plain_http: bool,
    /// Whether `latest` follows what is deployed from clean commits.
    pub latest: bool,
    /// Whether layers of Dockerfile builds are kept there, for the next machine that builds.
    pub cache: bool,
    /// How to log in; anonymous, or the Docker config file's answer, when absent.
    pub credentials: Option<Credentials>,
}

/// An account of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Its name.
    pub username: String,
    /// Its password; `None` when it was not asked for.
    pub password: Option<String>,
}

/// Shows the name only: a password must never reach a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What stands for a placeholder. It is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Substitute {
    /// The value; `None` when it is not there, or was not asked for.
    pub value: Option<String>,
    /// Where it is read from, for people: `OBS_INGEST_TOKEN of prod.env`.
    pub source: String,
    /// Leave out a file whose value is missing, with a warning, instead of failing.
    pub may_be_missing: bool,
}

/// Shows where the value is from, never what it is.
impl std::fmt::Debug for Substitute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Substitute({})", self.source)
    }
}

/// An image that Skep builds.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Folder whose git commit the image is of, and that relative paths of its build are in.
    pub context: PathBuf,
    /// How it is built.
    pub build: Build,
    /// What its build may read and the image must not hold.
    pub secrets: BuildSecrets,
}

/// Secrets of a build, by the name that the build knows them by. Their values count in no comparison of builds and are never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BuildSecrets(BTreeMap<String, String>);

impl BuildSecrets {
    /// Names, each one of an environment variable, and values.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self(values)
    }

    /// Each name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Hides the values in what the build prints.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.0.values())
    }
}

/// Shows names only: a secret's value must never reach a log.
impl std::fmt::Debug for BuildSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A program that builds Dockerfiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// Docker, by buildx.
    Docker,
    /// buildah.
    Buildah,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq)]
pub enum Build {
    /// A Dockerfile.
    Docker(DockerBuild),
    /// A command on this machine, whose outputs are laid into an image.
    Native(NativeBuild),
}

/// A Dockerfile build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerBuild {
    /// The Dockerfile.
    pub dockerfile: PathBuf,
    /// A stage of it; the last one if absent.
    pub stage: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
}

/// A build with no daemon and no Dockerfile.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NativeBuild {
    /// A shell command run in the image's context before files are laid. Images with the same command and context share one run.
    pub run: Option<String>,
    /// An image to lay over, such as `debian:bookworm-slim`; an empty root if absent.
    pub base: Option<String>,
    /// Path in the image → what is laid there. A directory is laid with all below it.
    pub files: BTreeMap<String, LaidPath>,
    /// Extra programs or libraries whose shared libraries are laid too (what is opened at run time and so not found by reading ELF).
    pub libraries: Vec<PathBuf>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub cmd: Vec<String>,
    /// `ENV`.
    pub env: BTreeMap<String, String>,
    /// `USER`, as `uid[:gid]` or a name known in the image.
    pub user: Option<String>,
    /// `WORKDIR`.
    pub workdir: Option<String>,
}

/// A file or folder of this machine that becomes part of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidPath {
    /// Where it is here, absolute.
    pub from: PathBuf,
    /// Permission bits; those of the file if absent, with group and other write removed.
    pub mode: Option<u32>,
    /// Owner in the image; `0:0` if absent.
    pub owner: Option<(u32, u32)>,
}

/// A ConfigMap's contents, merged in the order of the files, inline values last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigSet {
    /// Keys and values, ready to use.
    pub values: BTreeMap<String, String>,
}

/// A Secret's contents.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretSet {
    /// Keys and values read from files and the environment.
    pub values: BTreeMap<String, String>,
    /// Keys made once, at random, and kept in the cluster.
    pub generate: Vec<String>,
    /// Where each of `values` is from, for people: `deploy/secrets.env.age`, `$APNS_KEY`.
    pub origins: BTreeMap<String, String>,
}

/// Shows keys only: a secret's value must never reach a log.
impl std::fmt::Debug for SecretSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretSet")
            .field("values", &self.values.keys().collect::<Vec<_>>())
            .field("generate", &self.generate)
            .finish()
    }
}

/// What the values of config and secrets must be like, beyond what can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks {
    /// Groups of keys of which either all have a value, or none.
    pub all_or_none: Vec<Vec<String>>,
    /// What a key's value is, where it has one.
    pub format: BTreeMap<String, Format>,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A private key in PKCS #8, as Apple's `.p8` files hold it: `-----BEGIN PRIVATE KEY-----`.
    PemP8,
    /// Anything in PEM: a key, a certificate.
    Pem,
    /// A URL with a scheme and a host.
    Url,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Base64, padded.
    Base64,
    /// Hexadecimal digits.
    Hex,
    /// JSON.
    Json,
}

impl Format {
    /// Each with its name in skep.yaml.
    pub const ALL: &[(&str, Self)] = &[
        ("pem-p8", Self::PemP8),
        ("pem", Self::Pem),
        ("url", Self::Url),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("base64", Self::Base64),
        ("hex", Self::Hex),
        ("json", Self::Json),
    ];
}

/// As skep.yaml names it.
impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Self::ALL.iter().find(|(_, format)| format == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// The migration gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrate {
    /// The Job's manifest. It may also lie inside a manifests folder; it is applied only by the gate.
    pub manifest: PathBuf,
    /// The migrations themselves, to be looked at before they run; `None` when nobody said where they are.
    pub files: Option<PathBuf>,
    /// How long one run may take: the Job's `activeDeadlineSeconds`.
    pub timeout: Duration,
    /// Workloads (by name) that must be up before the migration, such as a database on the same machine.
    pub needs: Vec<String>,
}

/// Whom the end of each release is told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Where it is posted.
    pub url: NotifyUrl,
    /// The environment variable of whoever deploys that holds the key to sign with.
    pub secret_env: Option<String>,
    /// What is posted instead of the event itself: JSON with `{{summary}}` and its like in it.
    pub template: Option<String>,
}

/// A webhook's URL. Those of chat services are secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyUrl {
    /// Written in skep.yaml.
    Plain(String),
    /// The environment variable that holds it.
    Env(String),
}

/// How patient a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutPolicy {
    /// A rollout that made no progress for this long has failed.
    pub no_progress: Duration,
    /// For how long its pods must stay as they are before it is called good.
    pub soak: Duration,
}
