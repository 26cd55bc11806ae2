//! The task that stands between the API's pods and the node's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde::Deserialize as _;
use serde_json::{Value, json};
use skep_apiserver::{DeleteOptions, Preconditions, Resources, WatchEvent};
use skep_node::{ImageState, Node, PodInput, PodUpdate};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::images::{ImageNews, ImageSource, Images, PullBackoff};
use super::inputs::{Configuration, containers};
use super::{service_env, status};
use crate::controllers::replicaset::is_finished;
use crate::kind::Kind;
use crate::network::wiring::{self, DOMAIN, Traffic};
use crate::object;
use crate::reconcile::recorder::{self, Note};

/// What a [`Kubelet`] is made of.
pub(crate) struct KubeletParts {
    pub(crate) resources: Resources,
    pub(crate) node: Node,
    pub(crate) node_name: String,
    pub(crate) traffic: Traffic,
    pub(crate) images: ImageSource,
    pub(crate) backoff: PullBackoff,
    pub(crate) volumes: PathBuf,
    /// Where pods share the host's network they learn names by `/etc/hosts`.
    pub(crate) names_by_hosts: bool,
    pub(crate) names_changed: watch::Receiver<()>,
}

/// Hands bound pods to the node and writes back what becomes of them.
pub(crate) struct Kubelet {
    parts: KubeletParts,
    images: Images,
    /// Pods that the node has, by UID.
    tracked: HashMap<String, Tracked>,
    /// Farewells and last deletions on their way.
    errands: FuturesUnordered<BoxFuture<'static, ()>>,
}

/// A pod that the node has.
#[derive(Debug)]
struct Tracked {
    namespace: String,
    name: String,
    stage: Stage,
    ip: Option<IpAddr>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// What the node was last told, as a hash.
    Living { told: String },
    /// To be gone within so many seconds.
    Leaving { grace: u64 },
}

impl Kubelet {
    pub(crate) fn new(parts: KubeletParts) -> Self {
        let images = Images::new(parts.images.clone(), parts.resources.clone(), parts.backoff);
        Self { parts, images, tracked: HashMap::new(), errands: FuturesUnordered::new() }
    }

    /// Runs until `shutdown`. Pods are left as they are: stopping them is the node's part.
    pub(crate) async fn run(
        mut self,
        mut updates: mpsc::UnboundedReceiver<PodUpdate>,
        shutdown: CancellationToken,
    ) {
        let kinds = [Kind::POD, Kind::CONFIG_MAP, Kind::SECRET, Kind::PVC];
        let [mut pods, mut config_maps, mut secrets, mut claims] =
            kinds.map(|kind| self.parts.resources.watch(kind, None));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(update) = updates.recv() => self.take(update).await,
                Some(event) = pods.next() => self.on_pod(&event).await,
                Some(event) = config_maps.next() => self.sync_namespace(event.object()).await,
                Some(event) = secrets.next() => self.sync_namespace(event.object()).await,
                Some(event) = claims.next() => self.sync_namespace(event.object()).await,
                news = self.images.next() => self.on_image(&news).await,
                Ok(()) = self.parts.names_changed.changed(), if self.parts.names_by_hosts => self.sync_all().await,
                Some(()) = self.errands.next(), if !self.errands.is_empty() => {}
            }
        }
    }

    async fn on_pod(&mut self, event: &WatchEvent) {
        let pod = event.object();
        if object::text(pod, "/spec/nodeName") != self.parts.node_name {
            return;
        }
        if matches!(event, WatchEvent::Deleted(_)) {
            self.forget(pod);
        } else if object::is_deleting(pod) {
            self.bid_farewell(pod);
        } else if !is_finished(pod) {
            self.sync(pod).await;
        }
    }

    /// The object is gone. If the node still has the pod, it goes now.
    fn forget(&mut self, pod: &Value) {
        let uid = object::uid(pod);
        if self.tracked.contains_key(uid) {
            self.leave(uid, 0);
        }
        let left: Vec<_> = self.parts.resources.list(Kind::POD, None);
        let images = |pod: &Value| -> Vec<String> {
            containers(pod).map(|one| object::text(one, "/image").to_owned()).collect()
        };
        self.images
            .keep_only(|key| left.iter().any(|pod| images(pod).iter().any(|image| key.is_for(pod, image))));
    }

    fn bid_farewell(&mut self, pod: &Value) {
        let uid = object::uid(pod);
        let grace = object::integer(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(30);
        let grace = u64::try_from(grace).unwrap_or(0);
        if self.tracked.contains_key(uid) {
            self.leave(uid, grace);
        } else {
            // The node never had it, or had it in an earlier life.
            self.delete_now(object::namespace(pod), object::name(pod), uid);
        }
    }

    /// First nothing new goes to the pod, then it is told to end. A second call can only shorten the grace.
    fn leave(&mut self, uid: &str, grace: u64) {
        let Some(tracked) = self.tracked.get_mut(uid) else { return };
        let first = match tracked.stage {
            Stage::Leaving { grace: before } if before <= grace => return,
            Stage::Leaving { .. } => false,
            Stage::Living { .. } => true,
        };
        tracked.stage = Stage::Leaving { grace };
        let (node, traffic, ip) = (self.parts.node.clone(), self.parts.traffic.clone(), tracked.ip);
        let uid = uid.to_owned();
        self.errands.push(Box::pin(async move {
            if let (true, Some(ip)) = (first, ip) {
                traffic.release(ip).await;
            }
            node.terminate(&uid, Duration::from_secs(grace));
        }));
    }

    fn delete_now(&self, namespace: &str, name: &str, uid: &str) {
        let resources = self.parts.resources.clone();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let options = DeleteOptions {
            grace_seconds: Some(0),
            preconditions: Preconditions { uid: Some(uid.to_owned()), resource_version: None },
            ..DeleteOptions::default()
        };
        self.errands.push(Box::pin(async move {
            match resources.delete(Kind::POD, Some(&namespace), &name, options).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => {
                    tracing::warn!(%error, namespace, name, "a pod that is gone could not be deleted");
                }
                _ => {}
            }
        }));
    }

    /// Tells the node about a pod, if there is anything that it was not told yet.
    async fn sync(&mut self, pod: &Arc<Value>) {
        let uid = object::uid(pod);
        let told = match self.tracked.get(uid).map(|tracked| &tracked.stage) {
            Some(Stage::Leaving { .. }) => return,
            Some(Stage::Living { told }) => Some(told.clone()),
            None => None,
        };
        let configuration = Configuration::read(&self.parts.resources, pod, &self.parts.volumes);
        let mut images = std::collections::BTreeMap::new();
        for container in containers(pod) {
            let state = self.images.state(pod, container);
            images.insert(object::text(container, "/image").to_owned(), state);
        }
        let hosts = if self.parts.names_by_hosts {
            wiring::objects(&self.parts.resources).hosts(object::namespace(pod), DOMAIN)
        } else {
            Vec::new()
        };
        let state = fingerprint(pod, &configuration.versions, &images, &hosts);
        if told.as_ref() == Some(&state) {
            return;
        }
        let typed = match Pod::deserialize(&**pod) {
            Ok(typed) => typed,
            Err(error) => {
                tracing::warn!(%error, pod = object::name(pod), "a pod can't be read as its type");
                return;
            }
        };
        for directory in configuration.claims.values() {
            if let Err(error) = open_to_all(directory).await {
                tracing::warn!(%error, path = %directory.display(), "a claim's directory could not be made");
            }
        }
        let services = self.parts.resources.list(Kind::SERVICE, Some(object::namespace(pod)));
        self.parts.node.sync(PodInput {
            pod: Arc::new(typed),
            config_maps: configuration.config_maps,
            secrets: configuration.secrets,
            images,
            claims: configuration.claims,
            hosts,
            // No part of the fingerprint: a running container's environment does not change.
            service_env: service_env::variables(pod, &services),
            ..PodInput::default()
        });
        let tracked = self.tracked.entry(uid.to_owned()).or_insert_with(|| Tracked {
            namespace: object::namespace(pod).to_owned(),
            name: object::name(pod).to_owned(),
            stage: Stage::Living { told: String::new() },
            ip: None,
        });
        tracked.stage = Stage::Living { told: state };
    }

    async fn sync_where(&mut self, wanted: impl Fn(&Tracked, &Value) -> bool) {
        let pods: Vec<_> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| matches!(tracked.stage, Stage::Living { .. }))
            .filter_map(|(uid, tracked)| {
                let pod = self.parts.resources.get(Kind::POD, Some(&tracked.namespace), &tracked.name)?;
                let is_same = object::uid(&pod) == uid && !object::is_deleting(&pod) && !is_finished(&pod);
                (is_same && wanted(tracked, &pod)).then_some(pod)
            })
            .collect();
        for pod in pods {
            self.sync(&pod).await;
        }
    }

    async fn sync_namespace(&mut self, changed: &Value) {
        let namespace = object::namespace(changed).to_owned();
        self.sync_where(|tracked, _| tracked.namespace == namespace).await;
    }

    async fn sync_all(&mut self) {
        self.sync_where(|_, _| true).await;
    }

    /// An image's state changed: the pods that wait for it are told, and so is whoever reads their events.
    async fn on_image(&mut self, news: &ImageNews) {
        let waits =
            |pod: &Value| containers(pod).any(|one| news.key.is_for(pod, object::text(one, "/image")));
        // The node tells itself that an image is there when it uses it.
        if news.reason != "Pulled" {
            for pod in self.parts.resources.list(Kind::POD, None).iter().filter(|pod| waits(pod)) {
                let note = Note {
                    about: object::reference(pod),
                    reason: news.reason.to_owned(),
                    message: news.message.clone(),
                    warning: news.warning,
                    component: "kubelet".to_owned(),
                };
                recorder::record(&self.parts.resources, note).await;
            }
        }
        self.sync_where(|_, pod| waits(pod)).await;
    }

    async fn take(&mut self, update: PodUpdate) {
        match update {
            PodUpdate::Status { uid, namespace, name, status } => {
                self.note_address(&uid, status.pod_ip.as_deref());
                write(&self.parts.resources, &namespace, &name, &uid, &status).await;
            }
            PodUpdate::Gone { uid, namespace, name, status } => {
                let tracked = self.tracked.remove(&uid);
                write(&self.parts.resources, &namespace, &name, &uid, &status).await;
                if let Some(ip) = tracked.and_then(|tracked| tracked.ip) {
                    self.parts.traffic.sever(ip);
                }
                self.delete_now(&namespace, &name, &uid);
            }
            PodUpdate::Event { uid, namespace, name, reason, message, warning, field_path } => {
                let mut about = json!({"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": namespace, "uid": uid});
                if let Some(path) = field_path {
                    about["fieldPath"] = Value::from(path);
                }
                let note = Note { about, reason, message, warning, component: "kubelet".to_owned() };
                recorder::record(&self.parts.resources, note).await;
            }
        }
    }

    fn note_address(&mut self, uid: &str, ip: Option<&str>) {
        let ip = ip.and_then(|ip| ip.parse().ok());
        if let Some(tracked) = self.tracked.get_mut(uid)
            && let Some(ip) = ip
            && tracked.ip != Some(ip)
        {
            tracked.ip = Some(ip);
            if matches!(tracked.stage, Stage::Living { .. }) {
                self.parts.traffic.admit(ip);
            }
        }
    }
}

async fn write(resources: &Resources, namespace: &str, name: &str, uid: &str, status: &PodStatus) {
    if let Err(error) = status::write(resources, namespace, name, uid, status).await {
        tracing::warn!(%error, namespace, name, "a pod's status was refused");
    }
}

/// Everything that the node is told, as one short text.
fn fingerprint(
    pod: &Value,
    versions: &[String],
    images: &std::collections::BTreeMap<String, ImageState>,
    hosts: &[(IpAddr, Vec<String>)],
) -> String {
    let images: Vec<_> = images.values().map(|state| format!("{state:?}")).collect();
    let hosts: Vec<_> = hosts.iter().map(|line| format!("{line:?}")).collect();
    let metadata = &pod["metadata"];
    object::hash(
        &json!([pod["spec"], metadata["labels"], metadata["annotations"], versions, images, hosts]),
        0,
    )
}

/// Makes a claim's directory, writable by whatever user a container runs as, as the local-path provisioner does.
async fn open_to_all(directory: &Path) -> std::io::Result<()> {
    if tokio::fs::try_exists(directory).await? {
        return Ok(());
    }
    tokio::fs::create_dir_all(directory).await?;
    tokio::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).await
}
