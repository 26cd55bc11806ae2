//! A typed document → the project: paths made absolute, named files read, defaults filled in.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use skep_model::{
    Bucket, Build, BuildSecrets, Cluster, Credentials, DockerBuild, Image, LaidPath, Migrate, NativeBuild,
    Platform, Project, Registry, RolloutPolicy,
};

use crate::{
    bucket::BucketDoc,
    contents,
    document::{ClusterDoc, Document, MigrateDoc},
    error::{Fault, Problem},
    fields::Placed,
    images::{BuildDoc, ImageDoc, NativeDoc},
    load::{LoadRequest, Loaded, Outside, Reads, Warning},
    notify,
    registry::{RegistryDoc, Source},
    tree::{self, Value},
    verify,
};

const MIGRATE_TIMEOUT: Duration = Duration::from_secs(600);
const NO_PROGRESS: Duration = Duration::from_secs(600);
const KEEP_RELEASES: usize = 10;

pub(crate) fn project(
    request: &LoadRequest,
    outside: &Outside<'_>,
    document: &Document,
    cluster: &ClusterDoc,
    others: &[Document],
) -> Result<Loaded, Fault> {
    let all = || std::iter::once(document).chain(others);
    let secret_variables = contents::secret_variables(all());
    let mut world = World { request, outside, warnings: Vec::new(), secret_variables };
    let hive = matches!(cluster, ClusterDoc::Hive);
    let registry = world.registry(document, hive)?;
    let default_platform = if hive { Platform::host() } else { linux_amd64() };
    let config = world.config(&document.config)?;
    let secrets = world.secrets(&document.secrets)?;
    if request.reads == Reads::Everything {
        contents::keep_apart(document, &config, &secrets)?;
    }
    let substitute = world.substitutes(&document.substitute, &config)?;
    let mut manifests = Vec::new();
    for path in &document.manifests {
        manifests.push(world.existing(path, &request.root, "the manifests folder")?);
    }
    let project = Project {
        app: document.app.clone(),
        root: request.root.clone(),
        target: request.target.clone(),
        cluster: world.cluster(cluster)?,
        namespace: document.namespace.clone().unwrap_or_else(|| document.app.to_string()),
        registry,
        platforms: document.platforms.clone().unwrap_or_else(|| vec![default_platform]),
        builder: document.builder,
        images: world.images(&document.images)?,
        manifests,
        config,
        secrets,
        recipients: recipients(all()),
        secret_variables: world.secret_variables.clone(),
        env_files: world.env_files(all())?,
        substitute,
        replicas: document.replicas.clone(),
        checks: document.checks.clone(),
        migrate: document.migrate.as_ref().map(|migrate| world.migrate(migrate)).transpose()?,
        rollout: RolloutPolicy {
            no_progress: document.rollout.no_progress.unwrap_or(NO_PROGRESS),
            soak: document.rollout.soak.unwrap_or_default(),
        },
        verify: document.verify.iter().filter(|check| !hive || verify::is_local(check)).cloned().collect(),
        // A rehearsal on one's own machine is nobody else's news.
        notify: document.notify.clone().filter(|notify| !hive || notify::is_local(notify)),
        bucket: document
            .bucket
            .as_ref()
            .filter(|bucket| !hive || verify::is_loopback(&bucket.endpoint))
            .map(|bucket| world.bucket(bucket))
            .transpose()?,
        keep_releases: document.keep_releases.unwrap_or(KEEP_RELEASES),
    };
    let elsewhere = document.bucket.as_ref().filter(|_| project.bucket.is_none());
    let bucket_elsewhere = elsewhere.map(|bucket| bucket.endpoint.clone());
    Ok(Loaded { project, warnings: world.warnings, bucket_elsewhere })
}

/// Whom the encrypted files of a project are for: targets share files.
fn recipients<'d>(documents: impl Iterator<Item = &'d Document>) -> Vec<String> {
    let mut recipients: Vec<String> = documents.flat_map(|document| document.recipients.clone()).collect();
    recipients.sort();
    recipients.dedup();
    recipients
}

/// The operating system's reason, in our words where it is the usual one.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

fn linux_amd64() -> Platform {
    Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }
}

/// What a document is resolved against.
pub(crate) struct World<'w> {
    pub(crate) request: &'w LoadRequest,
    pub(crate) outside: &'w Outside<'w>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) secret_variables: Vec<String>,
}

impl World<'_> {
    /// `path` made absolute: `~` is the home folder, anything else relative is of `base`.
    pub(crate) fn absolute(&self, path: &str, base: &Path, here: &Placed<()>) -> Result<PathBuf, Fault> {
        let Some(rest) = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Ok(tidy(&base.join(path)));
        };
        let home = self.request.home.as_ref().ok_or_else(|| {
            Fault::bad(
                here.at,
                &here.path,
                "`~` has no meaning: no home folder is known",
                "set HOME, or write the path out",
            )
        })?;
        Ok(tidy(&home.join(rest.trim_start_matches('/'))))
    }

    /// Whether env files, secrets and folders are looked at.
    pub(crate) fn everything(&self) -> bool {
        self.request.reads == Reads::Everything
    }

    pub(crate) fn path(&self, path: &Placed<String>, base: &Path) -> Result<PathBuf, Fault> {
        self.absolute(&path.value, base, &path.clone().map(|_| ()))
    }

    /// An absolute path that something is at.
    fn existing(&self, path: &Placed<String>, base: &Path, what: &'static str) -> Result<PathBuf, Fault> {
        let absolute = self.path(path, base)?;
        if self.everything()
            && let Err(error) = (self.outside.read)(&absolute)
            && error.kind() == io::ErrorKind::NotFound
        {
            let (path_at, why) = (absolute, reason(&error));
            return Err(path.fault(Problem::MissingFile { what, path: path_at, why }));
        }
        Ok(absolute)
    }

    pub(crate) fn text(&self, path: &Path, what: &'static str, here: &Placed<()>) -> Result<String, Fault> {
        (self.outside.read)(path).map_err(|error| {
            let (path, why) = (path.to_owned(), reason(&error));
            here.fault(Problem::MissingFile { what, path, why })
        })
    }

    fn cluster(&self, cluster: &ClusterDoc) -> Result<Cluster, Fault> {
        let ClusterDoc::Kubeconfig { path, context } = cluster else {
            return Ok(Cluster::Hive);
        };
        let file = self.path(path, &self.request.root)?;
        if context.is_none() && self.everything() {
            self.only_context(&file, path)?;
        }
        Ok(Cluster::Kubeconfig { path: file, context: context.clone() })
    }

    /// Without `context:` there must be nothing to choose: a kubeconfig's current context moves under one's feet.
    fn only_context(&self, file: &Path, here: &Placed<String>) -> Result<(), Fault> {
        let text = self.text(file, "the kubeconfig", &here.clone().map(|_| ()))?;
        // What can't be read here is reported where it is used, and without a line of it.
        let Ok(root) = tree::parse(&text) else { return Ok(()) };
        let contexts = root.get("contexts");
        let names: Vec<String> = match contexts.map(|entry| &entry.node.value) {
            Some(Value::List(nodes)) => nodes
                .iter()
                .filter_map(|node| match &node.get("name")?.node.value {
                    Value::Scalar { text, .. } => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        if names.len() == 1 {
            return Ok(());
        }
        let message =
            format!("`{}` has {} contexts, so `context` must say which", file.display(), names.len());
        Err(Fault::bad(here.at, &here.path, message, format!("its contexts: {}", names.join(", "))))
    }

    fn registry(&mut self, document: &Document, hive: bool) -> Result<Option<Registry>, Fault> {
        let Some(RegistryDoc { url, plain_http, latest, cache, credentials }) = &document.registry else {
            if hive || document.images.is_empty() {
                return Ok(None);
            }
            let why = "images for a cluster elsewhere are pushed there first";
            return Err(Fault {
                at: None,
                path: format!("targets/{}", self.request.target),
                problem: Box::new(Problem::MissingKey { key: "registry", why }),
                file: None,
            });
        };
        let credentials = match credentials {
            Some((username, password)) => {
                let asked = matches!(self.request.reads, Reads::Registry | Reads::Everything);
                let password = asked.then(|| self.secret(password)).transpose()?;
                Some(Credentials { username: username.clone(), password })
            }
            None => None,
        };
        Ok(Some(Registry {
            url: url.clone(),
            plain_http: *plain_http,
            latest: *latest,
            cache: *cache,
            credentials,
        }))
    }

    /// A secret that may not be empty.
    fn written(&mut self, source: &Placed<Source>) -> Result<String, Fault> {
        let secret = self.secret(source)?;
        if secret.trim().is_empty() {
            let message = format!("{} is empty", source.value);
            return Err(Fault::bad(source.at, &source.path, message, "write the store's key there"));
        }
        Ok(secret)
    }

    fn bucket(&mut self, bucket: &BucketDoc) -> Result<Bucket, Fault> {
        let credentials = match self.request.reads {
            Reads::Bucket => Some((self.written(&bucket.key_id)?, self.written(&bucket.key)?)),
            Reads::Everything => Some((self.secret(&bucket.key_id)?, self.secret(&bucket.key)?)),
            Reads::Address | Reads::Registry => None,
        };
        Ok(Bucket {
            endpoint: bucket.endpoint.clone(),
            name: bucket.name.clone(),
            region: bucket.region.clone(),
            native_api: bucket.native_api.clone(),
            credentials,
            lifecycle: bucket.lifecycle.clone(),
            cors: bucket.cors.clone(),
            keep: bucket.keep.clone(),
        })
    }

    fn images(&mut self, images: &BTreeMap<String, ImageDoc>) -> Result<BTreeMap<String, Image>, Fault> {
        images
            .iter()
            .map(|(name, image)| {
                let context = match &image.context {
                    Some(path) => self.existing(path, &self.request.root, "the build context")?,
                    None => self.request.root.clone(),
                };
                let build = match &image.build {
                    BuildDoc::Docker { dockerfile, stage, args } => Build::Docker(DockerBuild {
                        dockerfile: self.existing(dockerfile, &context, "the Dockerfile")?,
                        stage: stage.clone(),
                        args: args.clone(),
                    }),
                    BuildDoc::Native(native) => Build::Native(self.native(native, &context)?),
                };
                let secrets = match self.everything() {
                    true => self.build_secrets(&image.secrets)?,
                    false => BuildSecrets::default(),
                };
                Ok((name.clone(), Image { context, build, secrets }))
            })
            .collect()
    }

    fn build_secrets(&mut self, secrets: &BTreeMap<String, Placed<Source>>) -> Result<BuildSecrets, Fault> {
        let mut values = BTreeMap::new();
        for (name, source) in secrets {
            let value = self.secret(source)?;
            if value.contains('\0') {
                let message =
                    format!("the value of `{name}` has a NUL byte, which no environment variable can hold");
                return Err(Fault::bad(source.at, &source.path, message, "encode it, for example in base64"));
            }
            values.insert(name.clone(), value);
        }
        Ok(BuildSecrets::new(values))
    }

    fn native(&self, native: &NativeDoc, context: &Path) -> Result<NativeBuild, Fault> {
        let files = native.files.iter().map(|(to, laid)| {
            let laid = LaidPath { from: self.path(&laid.from, context)?, mode: laid.mode, owner: laid.owner };
            Ok((to.clone(), laid))
        });
        let libraries = native.libraries.iter().map(|library| match library.value.contains('/') {
            true => self.path(library, context),
            // A bare name, such as `libnss_dns.so.2`, is looked for where the linker looks.
            false => Ok(PathBuf::from(&library.value)),
        });
        Ok(NativeBuild {
            run: native.run.clone(),
            base: native.base.clone(),
            files: files.collect::<Result<_, Fault>>()?,
            libraries: libraries.collect::<Result<_, Fault>>()?,
            entrypoint: native.entrypoint.clone(),
            cmd: native.cmd.clone(),
            env: native.env.clone(),
            user: native.user.clone(),
            workdir: native.workdir.clone(),
        })
    }

    fn migrate(&self, migrate: &MigrateDoc) -> Result<Migrate, Fault> {
        Ok(Migrate {
            manifest: self.existing(&migrate.manifest, &self.request.root, "the migration Job's manifest")?,
            files: migrate
                .files
                .as_ref()
                .map(|files| self.existing(files, &self.request.root, "the migrations"))
                .transpose()?,
            timeout: migrate.timeout.unwrap_or(MIGRATE_TIMEOUT),
            needs: migrate.needs.clone(),
        })
    }
}

/// Without `.` parts. `..` stays: what it means depends on symbolic links.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}
