//! Builds images.
//!
//! [`build`] looks at how an image is built and hands it to the builder for that: `dockerfile`, or `native`, which runs the
//! build command (`runs`), gathers a tree of what is laid (`lay`, `libraries`, `skeleton`, over `base`), splits it into
//! layers by how often they change, and writes them (`layer`, remembered by `cache`). `document` makes config and manifest.
//!
//! Same inputs, same digest: nothing of the clock, the checkout's place or the machine's users enters an image.

mod cache;
mod compression;
mod dockerfile;
mod document;
mod error;
mod layer;
mod native;
mod process;
mod runs;

use std::{path::Path, sync::Arc};

use skep_model::{Build, Builder, Digest, Emit, Event, Image, ImageRef, Platform, Progress, Step};
use skep_registry::{Client, Descriptor, OnBytes, Package};

pub use compression::Compression;
pub use dockerfile::{DockerfileImage, Ignore, InvalidPattern};
pub use error::{BuildError, PushError, RunFailure};
pub use runs::Runs;

/// What to build, and with what.
#[derive(Debug, Clone, Copy)]
pub struct BuildRequest<'a> {
    /// The image's key in skep.yaml.
    pub name: &'a str,
    /// What skep.yaml says of it.
    pub image: &'a Image,
    /// What it must run on; never empty.
    pub platforms: &'a [Platform],
    /// Where it will be pushed, without tag.
    pub repository: &'a ImageRef,
    /// What it is built from, where that is a clean commit.
    pub revision: Option<&'a Revision>,
    /// What builds Dockerfiles; whatever this machine has, if nothing is said.
    pub builder: Option<Builder>,
    /// Whether a Dockerfile's layers are kept in the registry, for the next machine that builds it.
    pub keep_cache: bool,
    /// How its layers are packed: zstd where the target's runtime reads it.
    pub compression: Compression,
    /// Where layers are kept from build to build, until nobody used them for two weeks. One folder serves all images of a machine.
    pub cache_dir: &'a Path,
    /// The time of every file, in seconds since 1970: 0, or what `SOURCE_DATE_EPOCH` said.
    pub epoch: u64,
    /// Where a base image is pulled from.
    pub client: &'a Client,
    /// What the builds of one deploy share: build commands that have run, the builder that was found.
    pub runs: &'a Runs,
}

/// The commit that an image is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its hash.
    pub commit: String,
    /// When it was made, as RFC 3339 writes it: the same inputs have the same annotation.
    pub time: String,
}

/// An image, ready to be pushed.
#[derive(Debug)]
pub enum Built {
    /// By the native builder.
    Native(BuiltImage),
    /// From a Dockerfile.
    Dockerfile(DockerfileImage),
}

/// Where an image goes, and under which tags.
pub struct PushRequest<'a> {
    /// The registry's client.
    pub client: &'a Client,
    /// The repository.
    pub target: &'a ImageRef,
    /// The tags that it gets.
    pub tags: &'a [String],
    /// The tag of its own that a digest gets besides.
    pub keeping: fn(&Digest) -> String,
}

impl std::fmt::Debug for PushRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushRequest")
            .field("target", &self.target)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// An image that is in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Its digest, or that of the index over its platforms.
    pub digest: Digest,
    /// Bytes that were sent: 0 when the registry had it all, `None` when the builder that sent them did not say.
    pub sent: Option<u64>,
}

impl Built {
    /// Its key in skep.yaml.
    pub fn name(&self) -> &str {
        match self {
            Self::Native(image) => &image.name,
            Self::Dockerfile(image) => &image.name,
        }
    }

    /// False when nothing had to be built or packed.
    pub fn changed(&self) -> bool {
        match self {
            Self::Native(image) => image.changed,
            Self::Dockerfile(image) => image.changed(),
        }
    }

    /// Brings it into the registry, and tags it.
    ///
    /// # Errors
    /// When the registry refuses, or the builder that pushes by itself fails.
    pub async fn push(&self, request: &PushRequest<'_>, emit: &Emit) -> Result<Arrived, PushError> {
        let on_bytes = OnBytes::emitting(emit, self.name());
        match self {
            Self::Dockerfile(image) => image.push(request, emit, &on_bytes).await,
            Self::Native(image) => {
                let tags: Vec<String> =
                    request.tags.iter().cloned().chain([(request.keeping)(&image.digest)]).collect();
                let package = image.package_for(request.target);
                let pushed = request.client.push(&package, request.target, &tags, &on_bytes).await?;
                Ok(Arrived { digest: pushed.digest, sent: Some(pushed.bytes_sent) })
            }
        }
    }
}

/// An image of the native builder, in the cache.
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
pub async fn build(request: BuildRequest<'_>, emit: &Emit) -> Result<Built, BuildError> {
    let began = std::time::Instant::now();
    let tell = |progress| {
        emit.emit(Event::Image { image: request.name.to_owned(), step: Step::Build, progress });
    };
    tell(Progress::Started);
    let built = match &request.image.build {
        Build::Native(spec) => Built::Native(native::build(request, spec, emit).await?),
        Build::Docker(spec) => Built::Dockerfile(dockerfile::build(request, spec, emit).await?),
    };
    let cache_dir = request.cache_dir.to_owned();
    blocking(move || {
        cache::sweep(&cache_dir);
        Ok(())
    })
    .await?;
    tell(Progress::Finished {
        millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        changed: built.changed(),
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
