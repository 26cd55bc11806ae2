//! What a base image has where: read from its layers' tars, so that what is laid over it follows its links and keeps its folders.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use skep_registry::MediaType;

use crate::{BuildError, Layer};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    Symlink(PathBuf),
    Other,
}

/// The paths of a base image, relative to its root.
#[derive(Debug, Default)]
pub(crate) struct BaseTree(BTreeMap<PathBuf, Kind>);

impl BaseTree {
    /// Lists the layers, the lowest first.
    pub(crate) fn read(layers: &[Layer]) -> Result<Self, BuildError> {
        let mut tree = Self::default();
        for layer in layers {
            tree.add(layer).map_err(|source| BuildError::File {
                action: "read the base's layer",
                path: layer.path.clone(),
                source,
            })?;
        }
        Ok(tree)
    }

    pub(crate) fn kind(&self, path: &Path) -> Option<Kind> {
        self.0.get(path).cloned()
    }

    fn add(&mut self, layer: &Layer) -> io::Result<()> {
        let file = BufReader::with_capacity(1 << 20, File::open(&layer.path)?);
        let tar: Box<dyn Read> = match layer.descriptor.media_type.as_str() {
            MediaType::LAYER_ZSTD => Box::new(zstd::Decoder::with_buffer(file)?),
            MediaType::LAYER_GZIP => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            MediaType::LAYER => Box::new(file),
            other => return Err(io::Error::other(format!("layers of type {other} are unknown"))),
        };
        let mut added = BTreeMap::new();
        for entry in tar::Archive::new(tar).entries()? {
            let entry = entry?;
            let path = plain(&entry.path()?);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            match (name.as_deref(), path.parent()) {
                // Whiteouts hide what lower layers have (OCI image specification, "Layer Changeset").
                (Some(".wh..wh..opq"), Some(folder)) => self.hide_below(folder),
                (Some(name), Some(folder)) if name.starts_with(".wh.") => {
                    let hidden = folder.join(name.trim_start_matches(".wh."));
                    self.hide_below(&hidden);
                    self.0.remove(&hidden);
                }
                (Some(_), _) => {
                    let kind = match entry.header().entry_type() {
                        tar::EntryType::Directory => Kind::Dir,
                        tar::EntryType::Symlink => Kind::Symlink(
                            entry.link_name()?.map(|name| name.into_owned()).unwrap_or_default(),
                        ),
                        _ => Kind::Other,
                    };
                    added.insert(path, kind);
                }
                (None, _) => {}
            }
        }
        self.0.extend(added);
        Ok(())
    }

    fn hide_below(&mut self, folder: &Path) {
        self.0.retain(|path, _| path == folder || !path.starts_with(folder));
    }
}

/// `./usr/bin/` as `usr/bin`.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter_map(|component| match component {
            std::path::Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Docker's name for a gzipped layer as OCI's, since the image that is made is an OCI image.
pub(crate) fn oci_media_type(media_type: &str) -> &str {
    match media_type {
        MediaType::DOCKER_LAYER => MediaType::LAYER_GZIP,
        other => other,
    }
}
