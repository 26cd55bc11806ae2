//! The native builder: a command on this machine, its outputs laid into layers. No daemon, no Dockerfile.
//!
//! Layers are split by how often their contents change ([`tree::Part`]): a rebuilt program is sent alone.

mod base;
mod elf;
mod lay;
mod libraries;
mod loader;
mod skeleton;
mod tree;

use std::path::{Path, PathBuf};

use skep_model::{Emit, ImageRef, NativeBuild, Platform};
use skep_registry::{ContainerConfig, Descriptor, ImageConfig};

use crate::{
    BuildError, BuildRequest, BuiltImage, Compression, Layer, blocking, cache,
    document::{self, BASE},
    layer::{Entry, blob_path},
};
use base::BaseTree;
use tree::{Part, Tree};

/// What gathering needs, owned, so that it can leave for another thread.
#[derive(Debug, Clone)]
struct Job {
    image: String,
    context: PathBuf,
    spec: NativeBuild,
    platform: Platform,
}

/// Runs the command, gathers the tree, writes the layers, makes the image.
pub(crate) async fn build(
    request: BuildRequest<'_>,
    spec: &NativeBuild,
    emit: &Emit,
) -> Result<BuiltImage, BuildError> {
    let platform = one_platform(&request)?;
    let job = Job {
        image: request.name.to_owned(),
        context: request.image.context.clone(),
        spec: spec.clone(),
        platform: platform.clone(),
    };
    if let Some(command) = &spec.run {
        request.runs.run(request.name, &job.context, command, &request.image.secrets, emit).await?;
    }
    let base = match &spec.base {
        Some(text) => Some(pull_base(&request, text).await?),
        None => None,
    };
    let base_layers = base.as_ref().map(|base| base.layers.clone()).unwrap_or_default();
    let gatherer = job.clone();
    let gathered = blocking(move || gather(&gatherer, &base_layers)).await?;
    for message in gathered.warnings {
        emit.emit(skep_model::Event::Warning { message });
    }
    let written = gathered.parts.into_iter().map(|(part, entries)| {
        let (compression, epoch, cache_dir) =
            (request.compression, request.epoch, request.cache_dir.to_owned());
        blocking(move || write_layer(part, &entries, compression, epoch, &cache_dir))
    });
    let mut written = futures::future::try_join_all(written).await?;
    let (base_name, container, mut layers) = match base {
        Some(base) => (Some(base.name), base.container, base.layers),
        None => (None, ContainerConfig::default(), Vec::new()),
    };
    layers.append(&mut written);
    let container = document::container(spec, container);
    let package = document::package(container, &job.platform, &layers)
        .map_err(|source| BuildError::Document { image: job.image.clone(), source })?;
    Ok(BuiltImage {
        name: job.image,
        platform: job.platform,
        digest: package.digest,
        changed: layers.iter().any(|layer| !layer.reused),
        layers,
        base: base_name,
        package,
    })
}

fn one_platform<'r>(request: &BuildRequest<'r>) -> Result<&'r Platform, BuildError> {
    match request.platforms {
        [platform] => Ok(platform),
        [] => Err(BuildError::Empty { image: request.name.to_owned() }),
        [first, second, ..] => Err(BuildError::SeveralPlatforms {
            image: request.name.to_owned(),
            first: Box::new(first.clone()),
            second: Box::new(second.clone()),
        }),
    }
}

/// What an image will hold, by layer.
struct Gathered {
    parts: Vec<(Part, Vec<Entry>)>,
    warnings: Vec<String>,
}

fn gather(job: &Job, base_layers: &[Layer]) -> Result<Gathered, BuildError> {
    let base = match base_layers {
        [] => None,
        layers => Some(BaseTree::read(layers)?),
    };
    let mut tree = Tree::new(&job.image, base);
    skeleton::links(&mut tree)?;
    let laid = lay::files(&mut tree, job)?;
    let warnings = libraries::close(&mut tree, job, &laid)?;
    skeleton::rest(&mut tree, job.spec.user.as_deref())?;
    check_entrypoint(&tree, job)?;
    Ok(Gathered { parts: tree.into_parts(), warnings })
}

/// What would fail at every start of a container is told now.
fn check_entrypoint(tree: &Tree, job: &Job) -> Result<(), BuildError> {
    let program = job.spec.entrypoint.first().or(job.spec.cmd.first());
    let Some(program) = program.filter(|program| program.starts_with('/')) else {
        return Ok(());
    };
    if !tree.holds(Path::new(program)) {
        return Err(BuildError::NoEntrypoint { image: job.image.clone(), program: program.clone() });
    }
    match tree.interpreter(Path::new(program)) {
        Some(interpreter) if !tree.holds(Path::new(&interpreter)) => {
            Err(BuildError::NoInterpreter { image: job.image.clone(), program: program.clone(), interpreter })
        }
        _ => Ok(()),
    }
}

fn write_layer(
    part: Part,
    entries: &[Entry],
    compression: Compression,
    epoch: u64,
    cache_dir: &Path,
) -> Result<Layer, BuildError> {
    let (written, reused) = cache::layer(entries, compression, epoch, cache_dir)?;
    Ok(Layer {
        descriptor: Descriptor {
            media_type: compression.media_type().to_owned(),
            digest: written.digest,
            size: written.size,
            annotations: Default::default(),
            platform: None,
        },
        diff_id: written.diff_id,
        holds: part.name(),
        path: blob_path(cache_dir, &written.digest),
        reused,
    })
}

/// A base image, pulled.
struct Base {
    name: ImageRef,
    container: ContainerConfig,
    layers: Vec<Layer>,
}

async fn pull_base(request: &BuildRequest<'_>, text: &str) -> Result<Base, BuildError> {
    let image = request.name.to_owned();
    let name: ImageRef = text
        .parse()
        .map_err(|source| BuildError::BaseName { image: image.clone(), source: Box::new(source) })?;
    let failed = |source| BuildError::Base { image: image.clone(), source: Box::new(source) };
    let pulled =
        request.client.pull_image(&name, one_platform(request)?, request.cache_dir).await.map_err(failed)?;
    let config: ImageConfig =
        serde_json::from_value(pulled.config).map_err(|source| BuildError::Document { image, source })?;
    let layers = pulled.layers.into_iter().map(|layer| Layer {
        descriptor: Descriptor {
            media_type: base::oci_media_type(&layer.media_type).to_owned(),
            digest: layer.digest,
            size: layer.size,
            annotations: Default::default(),
            platform: None,
        },
        diff_id: layer.diff_id,
        holds: BASE,
        path: layer.path,
        reused: true,
    });
    Ok(Base { layers: layers.collect(), name, container: config.config })
}
