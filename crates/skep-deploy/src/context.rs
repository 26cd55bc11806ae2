//! What every step is handed: the app, the way to its cluster and registry, and where events go.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use skep_cluster::{Cluster, Holder, Records, Releases};
use skep_image::Compression;
use skep_model::{AppName, Emit, Event, ImageRef, Project};
use skep_registry::Client;
use tokio_util::sync::CancellationToken;

use crate::{AskingCheck, ExtraCheck, OneWay};

/// Who ships, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Account and host.
    pub holder: Holder,
    /// Commit of the project folder.
    pub commit: Option<Commit>,
    /// Commits of the images' build contexts, which may be other repositories.
    pub contexts: BTreeMap<String, Commit>,
}

/// The commit that a folder is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Abbreviated hash.
    pub short: String,
    /// When it was made, as RFC 3339 writes it.
    pub time: String,
    /// Whether files of the folder differ from it.
    pub dirty: bool,
    /// Whether a remote has it; `None` where there is no remote.
    pub pushed: Option<bool>,
    /// The repository, for people.
    pub repository: String,
}

impl Commit {
    /// The hash, if no file differs from it: only then does a tag of its name tell the truth.
    pub(crate) fn clean(&self) -> Option<&str> {
        (!self.dirty).then_some(self.short.as_str())
    }
}

/// `d3708e6`, or `d3708e6-dirty`.
impl std::fmt::Display for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.short, if self.dirty { "-dirty" } else { "" })
    }
}

/// An app and everything around it that a use case needs. Made once, by the binary.
#[derive(Debug, Clone)]
pub struct App {
    /// What is to be shipped.
    pub project: Project,
    /// Where to.
    pub cluster: Cluster,
    /// Host and path that images are pushed under, `127.0.0.1:5000/honeydue`.
    pub registry: String,
    /// The registry's client, with credentials.
    pub images: Client,
    /// Where layers are kept between builds.
    pub cache: PathBuf,
    /// What the target's runtime reads.
    pub compression: Compression,
    /// Who ships.
    pub author: Author,
    /// What port `:8080` of a `*.localhost` URL stands for, in checks and in config; `None` when URLs are taken as they are.
    pub ingress_port: Option<u16>,
    /// What an app exits with when it refuses an old schema.
    pub schema_exit_code: i64,
    /// Wait for another deploy of this app to end, instead of refusing.
    pub wait: bool,
    /// Put the last good release back when one fails that has touched services.
    pub restore: bool,
    /// Which migrations leave no way back.
    pub one_way: Option<OneWay>,
    /// Checks that other parts make.
    pub extra_checks: Vec<ExtraCheck>,
    /// What asks somebody else: the store of the app's files.
    pub asking_checks: Vec<AskingCheck>,
    /// Where events go.
    pub emit: Emit,
    /// Cancelled by the first Ctrl-C.
    pub cancel: CancellationToken,
}

impl App {
    /// Hides the values that the project brings along in all text of pods, also before the cluster has them.
    pub fn hide_own_values(&self) {
        let Project { secrets, substitute, registry, bucket, images, .. } = &self.project;
        let secrets = secrets.values().flat_map(|set| set.values.values());
        let substitutes = substitute.values().filter_map(|one| one.value.as_ref());
        let password =
            registry.iter().filter_map(|registry| registry.credentials.as_ref()?.password.as_ref());
        let keys = bucket.iter().filter_map(|bucket| bucket.credentials.as_ref());
        let values = secrets.chain(substitutes).chain(password).chain(keys.map(|(_, key)| key));
        let of_builds = images.values().flat_map(|image| image.secrets.iter()).map(|(_, value)| value);
        self.cluster.redaction().hide(values.map(String::as_str).chain(of_builds));
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.project.namespace
    }

    /// What a deploy from here is, in two words, for `kubectl rollout history`.
    pub(crate) fn cause(&self) -> String {
        self.author.commit.as_ref().map_or("deploy".to_owned(), |commit| format!("commit {commit}"))
    }

    /// Whether an object that lives in the cluster is this app's.
    pub(crate) fn owns(&self, live: &serde_json::Value) -> bool {
        skep_manifest::owner_of(live) == Some(self.project.app.as_str())
    }

    pub(crate) fn releases(&self) -> Releases {
        Releases::new(self.cluster.clone(), self.namespace(), self.project.app.clone())
    }

    /// Warns of each release record that can't be read: the rest goes on without it.
    pub(crate) fn warn_of_unreadable(&self, records: &Records) {
        for (number, error) in records.unreadable() {
            let message = format!(
                "v{number} is left out: {error} (restore Secret/{name} from a backup, or remove it with `kubectl delete secret {name} -n {}`)",
                self.namespace(),
                name = error.secret(),
            );
            self.emit.emit(Event::Warning { message });
        }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.project.rollout.no_progress
    }

    /// Our images: name in skep.yaml → full name in the registry.
    pub(crate) fn our_images(&self) -> Result<BTreeMap<String, String>, skep_model::ImageRefError> {
        let full = |name: &String| Ok((name.clone(), self.repository(name)?.to_string()));
        self.project.images.keys().map(full).collect()
    }

    /// The reference of one of our images, without tag or digest.
    pub(crate) fn repository(&self, image: &str) -> Result<ImageRef, skep_model::ImageRefError> {
        repository(&self.registry, &self.project.app, image)
    }
}

/// `<registry>/<app>-<image>`, or `<registry>/<app>` for the image that is named as the app.
pub(crate) fn repository(
    registry: &str,
    app: &AppName,
    image: &str,
) -> Result<ImageRef, skep_model::ImageRefError> {
    let app = app.as_str();
    let name = if image == app || image.starts_with(&format!("{app}-")) {
        image.to_owned()
    } else {
        format!("{app}-{image}")
    };
    format!("{registry}/{name}").parse()
}
