//! Images on their way to this machine: from hive's own registry without a copy, from others by a pull with back-off.

mod local;
mod pull;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use skep_apiserver::Resources;
use skep_model::ImageRef;
use skep_node::{ImageState, LocalImage};
use tokio::time::Instant;

pub(crate) use self::local::ImageSource;
use crate::object;

/// How long a failed pull shows as `ErrImagePull` before it shows as `ImagePullBackOff`.
const SHOWN: Duration = Duration::from_secs(1);

/// How long a failed pull waits before it is tried again: `initial`, doubling up to `max`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PullBackoff {
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
}

/// One image as one pod template means it. Policy `Always` asks the registry again for each pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ImageKey {
    namespace: String,
    pub(super) image: String,
    /// The pod's UID under `imagePullPolicy: Always`.
    pod: Option<String>,
}

/// Something to tell about an image, on every pod that waits for it.
#[derive(Debug)]
pub(super) struct ImageNews {
    pub(super) key: ImageKey,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) warning: bool,
}

#[derive(Debug)]
enum Entry {
    Pulling { attempts: u32, since: Option<String> },
    Ready(LocalImage),
    Failed { attempts: u32, message: String, shown_until: Instant, retry_at: Instant, request: Box<Request> },
}

/// What a pull needs to know.
#[derive(Clone, Debug)]
pub(super) struct Request {
    key: ImageKey,
    reference: ImageRef,
    logins: pull::Logins,
}

type Pulled = (Request, Result<LocalImage, String>);

/// The images of all pods. Owned by the kubelet's task; pulls run inside [`Images::next`].
pub(super) struct Images {
    source: ImageSource,
    resources: Resources,
    backoff: PullBackoff,
    entries: HashMap<ImageKey, Entry>,
    pulls: FuturesUnordered<BoxFuture<'static, Pulled>>,
}

impl Images {
    pub(super) fn new(source: ImageSource, resources: Resources, backoff: PullBackoff) -> Self {
        Self { source, resources, backoff, entries: HashMap::new(), pulls: FuturesUnordered::new() }
    }

    /// Where a container's image is; starts a pull if nobody has.
    pub(super) fn state(&mut self, pod: &Value, container: &Value) -> ImageState {
        let text = object::text(container, "/image");
        let policy = object::text(container, "/imagePullPolicy");
        let reference: ImageRef = match text.parse() {
            Ok(reference) => reference,
            Err(error) => {
                return failed(
                    "InvalidImageName",
                    format!("Failed to apply default image tag \"{text}\": {error}"),
                );
            }
        };
        let key = ImageKey {
            namespace: object::namespace(pod).to_owned(),
            image: text.to_owned(),
            pod: (policy == "Always" && reference.digest.is_none()).then(|| object::uid(pod).to_owned()),
        };
        if let Some(entry) = self.entries.get(&key) {
            return entry.state(text);
        }
        if let Some(found) = self.source.without_pull(&reference, policy != "Always") {
            self.entries.insert(key.clone(), Entry::Ready(found));
            return self.entries[&key].state(text);
        }
        if policy == "Never" {
            let message = format!("Container image \"{text}\" is not present with pull policy of Never");
            return failed("ErrImageNeverPull", message);
        }
        let logins = pull::logins(&self.resources, pod);
        self.start(Request { key: key.clone(), reference, logins }, 0, None);
        self.entries[&key].state(text)
    }

    fn start(&mut self, request: Request, attempts: u32, since: Option<String>) {
        self.entries.insert(request.key.clone(), Entry::Pulling { attempts, since });
        let source = self.source.clone();
        self.pulls.push(Box::pin(async move {
            let outcome = source.pull(&request.reference, &request.logins).await;
            (request, outcome)
        }));
    }

    /// Waits for the next thing that changes an image's state, and says what to tell about it.
    pub(super) async fn next(&mut self) -> ImageNews {
        loop {
            let wake = self.entries.values().filter_map(Entry::wakes_at).min();
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((request, outcome)) = self.pulls.next(), if !self.pulls.is_empty() => {
                    return self.settle(request, outcome);
                }
                () = timer => {
                    if let Some(news) = self.tick(Instant::now()) {
                        return news;
                    }
                }
            }
        }
    }

    fn settle(&mut self, request: Request, outcome: Result<LocalImage, String>) -> ImageNews {
        let key = request.key.clone();
        let image = key.image.clone();
        match outcome {
            Ok(found) => {
                self.entries.insert(key.clone(), Entry::Ready(found));
                let message = format!("Successfully pulled image \"{image}\"");
                ImageNews { key, reason: "Pulled", message, warning: false }
            }
            Err(why) => {
                let attempts = match self.entries.get(&key) {
                    Some(Entry::Pulling { attempts, .. }) => *attempts,
                    _ => 0,
                };
                let now = Instant::now();
                let delay = self.backoff.initial.saturating_mul(1 << attempts.min(16)).min(self.backoff.max);
                let shown_until = now + SHOWN.min(delay);
                let message = format!("failed to pull image \"{image}\": {why}");
                let news = format!("Failed to pull image \"{image}\": {why}");
                let retry_at = now + delay;
                let request = Box::new(request);
                let entry = Entry::Failed { attempts: attempts + 1, message, shown_until, retry_at, request };
                self.entries.insert(key.clone(), entry);
                ImageNews { key, reason: "Failed", message: news, warning: true }
            }
        }
    }

    /// Retries what is due; else lets a failure go over into back-off.
    fn tick(&mut self, now: Instant) -> Option<ImageNews> {
        let due = self.entries.iter().find_map(|(key, entry)| match entry {
            Entry::Failed { retry_at, .. } if *retry_at <= now => Some((key.clone(), true)),
            Entry::Failed { shown_until, retry_at, .. } if *shown_until <= now && shown_until < retry_at => {
                Some((key.clone(), false))
            }
            _ => None,
        });
        let (key, retry) = due?;
        let Some(Entry::Failed { attempts, message, shown_until, retry_at, request }) =
            self.entries.get_mut(&key)
        else {
            return None;
        };
        if !retry {
            // Marks the transition as told.
            *shown_until = *retry_at;
            let message = format!("Back-off pulling image \"{}\": {message}", key.image);
            return Some(ImageNews { key, reason: "BackOff", message, warning: true });
        }
        let (attempts, message, mut request) = (*attempts, message.clone(), Request::clone(request));
        if let Some(logins) = pull::refreshed(&self.resources, &request.logins) {
            request.logins = logins;
        }
        self.start(request, attempts, Some(message));
        let message = format!("Pulling image \"{}\"", key.image);
        Some(ImageNews { key, reason: "Pulling", message, warning: false })
    }

    /// Drops the states that no pod needs any more, so that a later pod asks afresh.
    pub(super) fn keep_only(&mut self, needed: impl Fn(&ImageKey) -> bool) {
        self.entries.retain(|key, entry| matches!(entry, Entry::Pulling { .. }) || needed(key));
    }
}

impl ImageKey {
    /// Whether a container of this pod means this image.
    pub(super) fn is_for(&self, pod: &Value, image: &str) -> bool {
        self.image == image
            && self.namespace == object::namespace(pod)
            && self.pod.as_deref().is_none_or(|uid| uid == object::uid(pod))
    }
}

impl Entry {
    fn state(&self, image: &str) -> ImageState {
        match self {
            Self::Pulling { since: None, .. } => ImageState::Pulling,
            Self::Pulling { since: Some(message), .. } => failed(
                "ImagePullBackOff",
                format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"),
            ),
            Self::Ready(found) => ImageState::Ready(found.clone()),
            Self::Failed { message, shown_until, retry_at, .. } => {
                if shown_until < retry_at && *shown_until > Instant::now() {
                    failed("ErrImagePull", message.clone())
                } else {
                    failed(
                        "ImagePullBackOff",
                        format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"),
                    )
                }
            }
        }
    }

    fn wakes_at(&self) -> Option<Instant> {
        match self {
            Self::Failed { shown_until, retry_at, .. } => Some(*shown_until.min(retry_at)),
            _ => None,
        }
    }
}

fn failed(reason: &str, message: String) -> ImageState {
    ImageState::Failed { reason: reason.to_owned(), message }
}

/// Where pulled blobs and the notes about pulled images lie.
#[derive(Clone, Debug)]
pub(crate) struct ImageDirs {
    pub(crate) blobs: PathBuf,
    pub(crate) notes: PathBuf,
}
