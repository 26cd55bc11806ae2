//! Wires the parts: settings and project in, an [`App`] out.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, anyhow};
use skep_cluster::{Cluster as Connection, ClusterError, Holder, Kubeconfig};
use skep_deploy::{App, Author};
use skep_image::Compression;
use skep_model::{Cluster, Emit, Event, Project, Registry};
use skep_project::{AgeKeys, LoadRequest, Loaded, Outside, Reads};
use skep_registry::{Client, ClientConfig, DockerConfig, Login};
use tokio_util::sync::CancellationToken;

use crate::{
    bucket,
    commands::hive,
    git, migrations,
    settings::{AgeKey, Settings},
    trust,
};

/// The name of the project file.
const FILE: &str = "skep.yaml";
/// What `skep_migrate::require_schema_applied` makes an app exit with (`EX_CONFIG` of sysexits.h).
const SCHEMA_EXIT_CODE: i64 = 78;

/// A project file, read.
#[derive(Debug)]
pub(crate) struct Composed {
    loaded: Loaded,
}

impl Composed {
    /// `honeydue → local`.
    pub(crate) fn title(&self) -> String {
        format!("{} → {}", self.loaded.project.app, self.loaded.project.target)
    }

    /// The project as it was read.
    pub(crate) fn project(&self) -> &Project {
        &self.loaded.project
    }

    /// Where the bucket is, if it is one that this target leaves alone.
    pub(crate) fn bucket_elsewhere(&self) -> Option<&str> {
        self.loaded.bucket_elsewhere.as_deref()
    }

    /// Whether the target is the cluster that Skep carries.
    pub(crate) fn is_on_hive(&self) -> bool {
        self.loaded.project.cluster == Cluster::Hive
    }
}

/// Reads skep.yaml and, if needed, its env files.
pub(crate) fn load(settings: &Settings, reads: Reads) -> Result<Composed> {
    let request = LoadRequest {
        root: settings.dir.clone(),
        file: FILE.to_owned(),
        target: settings.target.clone(),
        home: Some(settings.home.clone()),
        environment: env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        keys: age_keys(settings)?,
        reads,
    };
    let outside = Outside { read: &|path| fs::read_to_string(path), run: &printed };
    let loaded = skep_project::load(&request, &outside)?;
    skep_process::withhold(&loaded.project.secret_variables);
    Ok(Composed { loaded })
}

/// The age keys of whoever runs Skep; none is fine until something encrypted is read.
pub(crate) fn age_keys(settings: &Settings) -> Result<AgeKeys> {
    let (text, place) = match &settings.age_key {
        AgeKey::Text(text) => (text.clone(), "SKEP_AGE_KEY".to_owned()),
        AgeKey::File(path) => match fs::read_to_string(path) {
            Ok(text) => (text, path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(AgeKeys::default()),
            Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
        },
    };
    AgeKeys::parse(&text).map_err(|error| anyhow!("{place}: {error}\nhint: {}", error.hint()))
}

/// What a command prints. What it has to say to its user goes where Skep's own messages go.
fn printed(command: &str, dir: &Path, withheld: &[String]) -> Result<String, String> {
    skep_process::withhold(withheld);
    let mut shell = skep_process::command(if cfg!(windows) { "cmd" } else { "sh" });
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command).current_dir(dir);
    let output = shell.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status));
    }
    match String::from_utf8(output.stdout) {
        Ok(text) if text.trim().is_empty() => Err("it printed nothing".to_owned()),
        Ok(text) => Ok(text),
        Err(_) => Err("what it printed is not UTF-8 text".to_owned()),
    }
}

/// Connects everything that a use case needs.
pub(crate) async fn app(settings: &Settings, composed: Composed, emit: Emit) -> Result<App> {
    let place = place(settings, composed.project()).await?;
    at(place, settings, composed, emit)
}

/// The same for what can be said of an app while the cluster that it is for does not run.
pub(crate) fn app_without_cluster(settings: &Settings, composed: Composed, emit: Emit) -> Result<App> {
    let registry = composed.project().registry.as_ref().map(|registry| registry.url.clone());
    let place = Place {
        cluster: Connection::nowhere(),
        registry: registry.unwrap_or_else(|| "127.0.0.1:5000".to_owned()),
        compression: Compression::Zstd,
        ingress_port: None,
    };
    at(place, settings, composed, emit)
}

fn at(place: Place, settings: &Settings, composed: Composed, emit: Emit) -> Result<App> {
    let Composed { loaded: Loaded { project, warnings, .. } } = composed;
    let plain_http = project.registry.iter().filter(|registry| registry.plain_http);
    let client = ClientConfig {
        logins: logins(&project),
        docker: docker_config(settings)?,
        plain_http: plain_http.map(|registry| host(registry).to_owned()).collect(),
        ..ClientConfig::default()
    };
    for warning in warnings {
        emit.emit(Event::Warning { message: warning.to_string() });
    }
    let cancel = CancellationToken::new();
    cancel_on_interrupt(cancel.clone());
    let app = App {
        cluster: place.cluster,
        registry: place.registry,
        images: Client::new(client)?,
        cache: settings.cache_dir.join("layers"),
        compression: place.compression,
        author: author(settings, &project),
        ingress_port: place.ingress_port,
        schema_exit_code: SCHEMA_EXIT_CODE,
        wait: false,
        restore: true,
        one_way: migrations::one_way(&project),
        extra_checks: migrations::check(&project).into_iter().collect(),
        asking_checks: bucket::check(&project).into_iter().collect(),
        emit,
        cancel,
        project,
    };
    app.hide_own_values();
    Ok(app)
}

/// Who ships, from which commits.
fn author(settings: &Settings, project: &Project) -> Author {
    let contexts = || project.images.iter().map(|(name, image)| (name, &image.context));
    let folders = contexts().map(|(_, context)| context.clone()).chain([project.root.clone()]);
    let commits = git::commits(folders);
    let of = |(name, context): (&String, &PathBuf)| Some((name.clone(), commits.get(context)?.clone()));
    Author {
        holder: Holder::this_process(&settings.user, &settings.host),
        commit: commits.get(&project.root).cloned(),
        contexts: contexts().filter_map(of).collect(),
    }
}

/// The files in which Docker and podman keep logins.
fn docker_config(settings: &Settings) -> Result<DockerConfig> {
    let named = |variable: &str| env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let docker = named("DOCKER_CONFIG").unwrap_or_else(|| settings.home.join(".docker"));
    let podman =
        named("REGISTRY_AUTH_FILE").or_else(|| Some(named("XDG_RUNTIME_DIR")?.join("containers/auth.json")));
    let files: Vec<PathBuf> = std::iter::once(docker.join("config.json")).chain(podman).collect();
    Ok(DockerConfig::read(&files)?)
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
                cluster: connect(&running.kubeconfig, None, project).await?,
                registry: registry.unwrap_or(running.registry),
                compression: Compression::Zstd,
                ingress_port: Some(running.ingress_port),
            })
        }
        Cluster::Kubeconfig { path, context } => Ok(Place {
            cluster: connect(path, context.as_deref(), project).await?,
            registry: registry.with_context(|| {
                format!("target `{}` has no registry\nhint: add `registry: {{ url: registry.example.com/team }}` to skep.yaml", project.target)
            })?,
            compression: Compression::Gzip,
            ingress_port: None,
        }),
    }
}

/// A kubeconfig is trusted before anything in it is run.
async fn connect(path: &Path, context: Option<&str>, project: &Project) -> Result<Connection> {
    let hinted = |error: ClusterError| {
        let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        anyhow!("{error}{hint}")
    };
    let kubeconfig = Kubeconfig::read(path, context).map_err(hinted)?;
    trust::may_run(&kubeconfig, &project.root)?;
    Connection::connect(kubeconfig).await.map_err(hinted)
}

fn host(registry: &Registry) -> &str {
    registry.url.split('/').next().unwrap_or(&registry.url)
}

fn logins(project: &Project) -> BTreeMap<String, Login> {
    let login = |registry: &Registry| {
        let credentials = registry.credentials.as_ref()?;
        let password = credentials.password.clone()?;
        Some((host(registry).to_owned(), Login { username: credentials.username.clone(), password }))
    };
    project.registry.as_ref().and_then(login).into_iter().collect()
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
