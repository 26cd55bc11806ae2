//! Who sees everything, and knows what must never be: each broken promise ends the run.

use std::{
    collections::BTreeMap,
    io::Read as _,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;
use http::{Method, Uri};
use serde_json::Value;
use skep_apiserver::{Kind, Resources, WatchEvent};

use crate::{kubelet::text, scenario::Version};

pub(crate) const NAMESPACE: &str = "shop";

/// The services that must never be without pods, and how many of each.
const SERVED: [(&str, usize); 2] = [("api", 2), ("web", 1)];

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Observer {
    resources: Resources,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// What happened, for whoever has to understand a failed run.
    story: Vec<String>,
    versions: BTreeMap<u32, Version>,
    /// Whether a release has ever been called good.
    serving: bool,
    broken: Option<String>,
}

impl Observer {
    pub(crate) fn new(resources: Resources, versions: impl IntoIterator<Item = Version>) -> Self {
        let versions = versions.into_iter().map(|version| (version.number, version)).collect();
        Self { resources, seen: Arc::new(Mutex::new(Seen { versions, ..Seen::default() })) }
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note(&self, who: &str, what: &str) {
        let at = skep_ambient::now().strftime("%H:%M:%S%.3f").to_string();
        let who = who.split('@').next().unwrap_or(who);
        self.seen(|seen| seen.story.push(format!("{at} {who}: {what}")));
    }

    /// A promise was broken.
    pub(crate) fn broke(&self, what: String) {
        self.note("BROKEN", &what);
        self.seen(|seen| _ = seen.broken.get_or_insert(what));
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.seen(|seen| seen.broken.clone())
    }

    pub(crate) fn story(&self) -> Vec<String> {
        self.seen(|seen| seen.story.clone())
    }

    /// Looks at every change of pods and records, for ever.
    pub(crate) async fn watch(self) {
        let mut pods = self.resources.watch(Kind::POD, Some(NAMESPACE));
        let mut secrets = self.resources.watch(Kind::SECRET, Some(NAMESPACE));
        let mut mirror: BTreeMap<String, Arc<Value>> = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                Some(event) = pods.next() => {
                    let name = text(event.object(), "/metadata/name").to_owned();
                    self.note("pod", &line(event.object()));
                    match event {
                        WatchEvent::Deleted(_) => mirror.remove(&name),
                        WatchEvent::Added(pod) | WatchEvent::Modified(pod) => mirror.insert(name, pod),
                    };
                    self.the_old_keeps_serving(&mirror);
                }
                Some(event) = secrets.next() => {
                    if let WatchEvent::Added(secret) | WatchEvent::Modified(secret) = event {
                        self.nothing_half_is_called_good(&secret);
                    }
                }
                else => return,
            }
        }
    }

    fn the_old_keeps_serving(&self, pods: &BTreeMap<String, Arc<Value>>) {
        if !self.seen(|seen| seen.serving) {
            return;
        }
        for (service, least) in SERVED {
            let serving = pods.values().filter(|pod| serves(pod, service)).count();
            if serving < least {
                let list: Vec<String> =
                    pods.values().filter(|pod| is_of(pod, service)).map(|pod| line(pod)).collect();
                self.broke(format!("{serving} pods serve {service}, and {least} must: {}", list.join("; ")));
            }
        }
    }

    /// A record that says `deployed` is of a good version, whole, and all of it runs.
    fn nothing_half_is_called_good(&self, secret: &Value) {
        let label = |name: &str| text(secret, &format!("/metadata/labels/skep.dev~1{name}")).to_owned();
        if label("record") != "release" {
            return;
        }
        let number = label("release");
        self.note("record", &format!("v{number} is {}", label("status")));
        if label("status") != "deployed" {
            return;
        }
        let Some(release) = decode(secret) else {
            return self.broke(format!("the record of v{number} can't be read"));
        };
        let objects = release["objects"].as_array().cloned().unwrap_or_default();
        let deployments: Vec<&Value> =
            objects.iter().filter(|object| object["kind"] == "Deployment").collect();
        if deployments.len() != 3 {
            return self.broke(format!("v{number} is called good with {} of 3 services", deployments.len()));
        }
        let version = version_of(deployments[0]);
        let known = self.seen(|seen| seen.versions.get(&version).cloned());
        if !known.is_some_and(|version| version.is_good()) {
            self.broke(format!("v{number} is called good, and version {version} is not"));
        }
        // A record is written again when another one is marked; what runs then may be newer.
        if text(secret, "/metadata/labels/skep.dev~1release") != self.newest_record() {
            return;
        }
        for deployment in deployments {
            self.runs(deployment, &number);
        }
        self.seen(|seen| seen.serving = true);
    }

    fn newest_record(&self) -> String {
        let secrets = self.resources.list(Kind::SECRET, Some(NAMESPACE));
        let number =
            |secret: &Arc<Value>| text(secret, "/metadata/labels/skep.dev~1release").parse::<u64>().ok();
        secrets.iter().filter_map(number).max().unwrap_or(0).to_string()
    }

    /// What a record names is there, and all its pods are ready.
    pub(crate) fn runs(&self, recorded: &Value, number: &str) {
        let name = text(recorded, "/metadata/name");
        let Some(live) = self.resources.get(Kind::DEPLOYMENT, Some(NAMESPACE), name) else {
            return self.broke(format!("v{number} is called good, and {name} is not there"));
        };
        if version_of(recorded) != version_of(&live) {
            let versions = (version_of(recorded), version_of(&live));
            return self.broke(format!(
                "v{number} is called good: {name} is {} there and {} here",
                versions.0, versions.1
            ));
        }
        let wanted = live["spec"]["replicas"].as_u64().unwrap_or(1);
        let pods = self.resources.list(Kind::POD, Some(NAMESPACE));
        let ready = |pod: &&Arc<Value>| serves(pod, name) && version_of_pod(pod) == version_of(&live);
        let ready = pods.iter().filter(ready).count() as u64;
        if ready != wanted {
            self.broke(format!("v{number} is called good, and {ready} of {wanted} pods of {name} are ready"));
        }
    }

    /// Whoever writes what services run by holds the lock.
    pub(crate) fn asked(&self, who: &str, method: &Method, uri: &Uri) {
        let path = uri.path();
        let concerns = ["/deployments/", "/services/", "/configmaps/", "/jobs/"];
        let rehearses = uri.query().is_some_and(|query| query.contains("dryRun"));
        // A command runs between releases, and as a check where nothing is to be done: in a Job of its own.
        let is_command = path.contains("-run-");
        if *method == Method::GET
            || rehearses
            || is_command
            || !concerns.iter().any(|part| path.contains(part))
        {
            return;
        }
        let lease = self.resources.get(Kind::LEASE, Some(NAMESPACE), "skep.shop");
        let holder =
            lease.as_deref().map_or("nobody", |lease| text(lease, "/spec/holderIdentity")).to_owned();
        if holder != who {
            self.broke(format!("{who} writes {method} {path}, and {holder} holds the lock"));
        }
    }

    /// Whether somebody holds the lock.
    pub(crate) fn holder(&self) -> Option<String> {
        let lease = self.resources.get(Kind::LEASE, Some(NAMESPACE), "skep.shop")?;
        Some(text(&lease, "/spec/holderIdentity").to_owned())
    }
}

fn is_of(pod: &Value, service: &str) -> bool {
    text(pod, "/metadata/labels/app") == service
}

fn serves(pod: &Value, service: &str) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True");
    is_of(pod, service) && ready && pod["metadata"]["deletionTimestamp"].is_null()
}

fn line(pod: &Value) -> String {
    let state = if serves(pod, text(pod, "/metadata/labels/app")) { "ready" } else { "not ready" };
    let going = if pod["metadata"]["deletionTimestamp"].is_null() { "" } else { ", going" };
    format!("{} of version {}, {state}{going}", text(pod, "/metadata/name"), version_of_pod(pod))
}

fn version_of(deployment: &Value) -> u32 {
    text(deployment, "/spec/template/metadata/annotations/sim~1version").parse().unwrap_or(0)
}

fn version_of_pod(pod: &Value) -> u32 {
    text(pod, "/metadata/annotations/sim~1version").parse().unwrap_or(0)
}

fn decode(secret: &Value) -> Option<Value> {
    let packed = STANDARD.decode(text(secret, "/data/release")).ok()?;
    let mut json = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}
