//! Wires the parts: settings and project in, an [`App`] out.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use anyhow::{Context, Result};
use skep_cluster::{Cluster as Connection, Holder};
use skep_deploy::{App, Author};
use skep_image::Compression;
use skep_model::{Cluster, Credentials, Emit, Event, Project, Source};
use skep_project::{LoadRequest, Loaded};
use skep_registry::{Client, ClientConfig, Login};
use tokio_util::sync::CancellationToken;

use crate::{commands::hive, git::Commit, settings::Settings};

/// The name of the project file.
const FILE: &str = "skep.yaml";
/// What `skep_migrate::require_schema_applied` makes an app exit with (`EX_CONFIG` of sysexits.h).
const SCHEMA_EXIT_CODE: i64 = 78;

/// A project file, read.
#[derive(Debug)]
pub(crate) struct Composed {
    loaded: Loaded,
    needs: Needs,
}

impl Composed {
    /// `honeydue → local`.
    pub(crate) fn title(&self) -> String {
        format!("{} → {}", self.loaded.project.app, self.loaded.project.target)
    }

    /// Whether the target is the cluster that Skep carries.
    pub(crate) fn is_on_hive(&self) -> bool {
        self.loaded.project.cluster == Cluster::Hive
    }
}

/// How much of a project a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Everything that skep.yaml names: env files, secrets, folders.
    Contents,
    /// Where the app and its images live.
    Registry,
    /// Where the app lives: enough to look at it, on a machine that has no secrets at hand.
    Address,
}

/// Reads skep.yaml and, if needed, its env files.
pub(crate) fn load(settings: &Settings, needs: Needs) -> Result<Composed> {
    let request = LoadRequest {
        root: settings.dir.clone(),
        file: FILE.to_owned(),
        target: settings.target.clone(),
        home: Some(settings.home.clone()),
        environment: env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        contents: needs == Needs::Contents,
    };
    let loaded = skep_project::load(&request, &|path| fs::read_to_string(path))?;
    Ok(Composed { loaded, needs })
}

/// Connects everything that a use case needs.
pub(crate) async fn app(settings: &Settings, composed: Composed, emit: Emit) -> Result<App> {
    let Composed { loaded: Loaded { project, warnings }, needs } = composed;
    let logins = if needs == Needs::Address { BTreeMap::new() } else { logins(&project)? };
    for warning in warnings {
        emit.emit(Event::Warning { message: warning.to_string() });
    }
    let cancel = CancellationToken::new();
    cancel_on_interrupt(cancel.clone());
    let place = place(settings, &project).await?;
    Ok(App {
        cluster: place.cluster,
        registry: place.registry,
        images: Client::new(ClientConfig { logins, ..ClientConfig::default() })?,
        cache: settings.cache_dir.join("layers"),
        compression: place.compression,
        author: Author {
            holder: Holder::this_process(&settings.user, &settings.host),
            commit: Commit::of(&project.root).map(|commit| commit.to_string()),
        },
        ingress_port: place.ingress_port,
        schema_exit_code: SCHEMA_EXIT_CODE,
        wait: false,
        emit,
        cancel,
        project,
    })
}

/// Where a target is.
struct Place {
    cluster: Connection,
    registry: String,
    compression: Compression,
    ingress_port: Option<u16>,
}

async fn place(settings: &Settings, project: &Project) -> Result<Place> {
    let registry = project.registry.as_ref().map(|registry| registry.url.clone());
    match &project.cluster {
        Cluster::Hive => {
            let running = hive::running(settings)?;
            Ok(Place {
                cluster: Connection::connect(&running.kubeconfig, None).await?,
                registry: registry.unwrap_or(running.registry),
                compression: Compression::Zstd,
                ingress_port: Some(running.ingress_port),
            })
        }
        Cluster::Kubeconfig { path, context } => Ok(Place {
            cluster: Connection::connect(path, context.as_deref()).await?,
            registry: registry.with_context(|| {
                format!("target `{}` has no registry\nhint: add `registry: {{ url: registry.example.com/team }}` to skep.yaml", project.target)
            })?,
            compression: Compression::Gzip,
            ingress_port: None,
        }),
    }
}

fn logins(project: &Project) -> Result<BTreeMap<String, Login>> {
    let Some((registry, credentials)) =
        project.registry.as_ref().and_then(|r| Some((r, r.credentials.as_ref()?)))
    else {
        return Ok(BTreeMap::new());
    };
    let host = registry.url.split('/').next().unwrap_or(&registry.url).to_owned();
    let login = Login { username: credentials.username.clone(), password: password(credentials)? };
    Ok(BTreeMap::from([(host, login)]))
}

fn password(credentials: &Credentials) -> Result<String> {
    match &credentials.password {
        Source::Env(name) => env::var(name).with_context(|| {
            format!("the registry's password is read from {name}, which is not set\nhint: export {name}=…")
        }),
        Source::File(path) => read_trimmed(path),
        Source::EnvFile { path, key } => {
            let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
            let file = skep_project::parse_env(&text)
                .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
            file.entries
                .get(key)
                .map(|entry| entry.value.clone())
                .with_context(|| format!("{} has no key {key}", path.display()))
        }
    }
}

fn read_trimmed(path: &PathBuf) -> Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("can't read the registry's password from {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Ctrl-C; or, from a CI that cancels or a terminal that goes away, SIGTERM or SIGHUP.
#[cfg(unix)]
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    let first = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures::future::select_all(first).await;
}

/// Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The first Ctrl-C stops cleanly; a second one, while that takes its time, ends the process at once.
fn cancel_on_interrupt(cancel: CancellationToken) {
    tokio::spawn(async move {
        interrupted().await;
        cancel.cancel();
    });
}
