//! Builds images.
//!
//! [`build`] looks at how an image is built and hands it to the builder for that. Start there, then `native`: it runs the
//! build command (`runs`), gathers a tree of what is laid (`lay`, `libraries`, `skeleton`, over `base`), splits it into
//! layers by how often they change, and writes them (`layer`, remembered by `cache`). `document` makes config and manifest.
//!
//! Same inputs, same digest: nothing of the clock, the checkout's place or the machine's users enters an image.

mod cache;
mod compression;
mod document;
mod error;
mod layer;
mod native;

use std::{path::Path, sync::Arc};

use skep_model::{Build, Digest, Emit, Event, Image, ImageRef, Platform, Progress, Step};
use skep_registry::{Client, Descriptor, Package};

pub use compression::Compression;
pub use error::{BuildError, RunFailure};
pub use native::Runs;

/// What to build, and with what.
#[derive(Debug, Clone, Copy)]
pub struct BuildRequest<'a> {
    /// The image's key in skep.yaml.
    pub name: &'a str,
    /// What skep.yaml says of it.
    pub image: &'a Image,
    /// What it must run on.
    pub platform: &'a Platform,
    /// How its layers are packed: zstd where the target's runtime reads it.
    pub compression: Compression,
    /// Where layers are kept from build to build, until nobody used them for two weeks. One folder serves all images of a machine.
    pub cache_dir: &'a Path,
    /// The time of every file, in seconds since 1970: 0, or what `SOURCE_DATE_EPOCH` said.
    pub epoch: u64,
    /// Where a base image is pulled from.
    pub client: &'a Client,
    /// The commands that this deploy has run, so that images with the same command and context share one run.
    pub runs: &'a Runs,
}

/// An image that lies in the cache, ready to be pushed.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// Its key in skep.yaml.
    pub name: String,
    /// What it runs on.
    pub platform: Platform,
    /// Its manifest's digest.
    pub digest: Digest,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// False when every layer was in the cache.
    pub changed: bool,
    /// The base that it is laid over, if it has one.
    pub base: Option<ImageRef>,
    package: Package,
}

/// One layer of a built image.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// What the manifest says of it.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// What is in it, for people: `libraries`, `program`, `base`.
    pub holds: &'static str,
    /// Where it lies.
    pub path: std::path::PathBuf,
    /// True when it was in the cache.
    pub reused: bool,
}

impl BuiltImage {
    /// What [`Client::push`] sends to `target`. Layers of a base in the same registry are taken from there.
    pub fn package_for(&self, target: &ImageRef) -> Package {
        let mut package = self.package.clone();
        let base = self.base.as_ref().filter(|base| base.registry == target.registry);
        if let Some(base) = base {
            for (blob, layer) in package.blobs.iter_mut().zip(&self.layers) {
                blob.mount_from = (layer.holds == document::BASE).then(|| base.repository.clone());
            }
        }
        package
    }
}

/// Builds an image, and emits [`Event::Image`] with [`Step::Build`] as it begins and ends.
///
/// # Errors
/// As [`BuildError`] lists them. The cache holds whole layers only, whatever happens.
pub async fn build(request: BuildRequest<'_>, emit: &Emit) -> Result<BuiltImage, BuildError> {
    let began = std::time::Instant::now();
    let tell = |progress| {
        emit.emit(Event::Image { image: request.name.to_owned(), step: Step::Build, progress });
    };
    tell(Progress::Started);
    let built = match &request.image.build {
        Build::Native(spec) => native::build(request, spec, emit).await?,
        Build::Docker(_) => {
            return Err(BuildError::NoBuilder { image: request.name.to_owned() });
        }
    };
    let cache_dir = request.cache_dir.to_owned();
    blocking(move || {
        cache::sweep(&cache_dir);
        Ok(())
    })
    .await?;
    tell(Progress::Finished {
        millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        changed: built.changed,
    });
    Ok(built)
}

/// Runs blocking work on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(BuildError::Stopped { source: Arc::new(error) }),
    }
}
