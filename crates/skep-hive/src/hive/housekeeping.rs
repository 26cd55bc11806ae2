//! The slow broom: old events, images and layers that nothing needs. Logs are rotated by the node as they are written.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use serde_json::Value;
use skep_apiserver::Resources;
use skep_model::Digest;
use skep_node::Node;
use tokio_util::sync::CancellationToken;

use crate::kind::Kind;
use crate::object;
use crate::pods::{ImageSource, containers};
use crate::reconcile::recorder;

const FIRST: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(600);
/// What a push or a pull is in the middle of is younger than this.
const MIN_AGE: Duration = Duration::from_secs(3600);

/// What is swept.
pub(super) struct Broom {
    pub(super) resources: Resources,
    pub(super) images: ImageSource,
    pub(super) node: Option<Node>,
}

impl Broom {
    /// Sweeps every ten minutes until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut rounds = tokio::time::interval_at(tokio::time::Instant::now() + FIRST, EVERY);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = rounds.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        recorder::expire(&self.resources, skep_ambient::now()).await;
        let images = in_use(&self.resources);
        let found = self.images.found_here(&images);
        let digests: HashSet<Digest> = found.iter().filter_map(|image| image.digest.parse().ok()).collect();
        match self.images.registry.collect(&digests, MIN_AGE).await {
            Ok(removed) if removed.bytes > 0 => {
                tracing::info!(
                    blobs = removed.blobs,
                    bytes = removed.bytes,
                    "unused images were removed from the registry"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the registry was not swept"),
        }
        if let Err(error) = self.images.forget_pulled(&images, MIN_AGE) {
            tracing::warn!(%error, "pulled images were not swept");
        }
        if let Some(node) = &self.node {
            let layers: BTreeSet<_> =
                found.into_iter().flat_map(|image| image.layers).map(|layer| layer.digest).collect();
            node.collect_layers(layers).await;
        }
    }
}

/// The images that some object names: pods, and whatever makes pods, scaled to zero or not.
fn in_use(resources: &Resources) -> BTreeSet<String> {
    let templates = [Kind::DEPLOYMENT, Kind::REPLICA_SET, Kind::JOB].into_iter().flat_map(|kind| {
        resources.list(kind, None).into_iter().filter_map(|one| one.pointer("/spec/template").cloned())
    });
    let pods = resources.list(Kind::POD, None).into_iter().map(|pod| Value::clone(&pod));
    pods.chain(templates)
        .flat_map(|pod| {
            containers(&pod).map(|one| object::text(one, "/image").to_owned()).collect::<Vec<_>>()
        })
        .collect()
}
