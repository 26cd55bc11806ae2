//! Images that need no pull: those of hive's own registry, and those that were pulled before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skep_model::{Digest, ImageRef, Platform};
use skep_node::{LayerBlob, LocalImage};
use skep_registryd::Registry;

use super::ImageDirs;
use crate::object;

/// Where images come from.
#[derive(Clone, Debug)]
pub(crate) struct ImageSource {
    pub(crate) registry: Registry,
    /// The names under which hive's own registry is known: `127.0.0.1:5000`, `localhost:5000`.
    pub(crate) own_names: BTreeSet<String>,
    pub(crate) dirs: ImageDirs,
    pub(crate) platform: Platform,
}

/// What is remembered about a pulled image, so that it needs no network after a restart.
#[derive(Debug, Serialize, Deserialize)]
struct Pulled {
    digest: String,
    config: Value,
    layers: Vec<PulledLayer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PulledLayer {
    digest: String,
    media_type: String,
    path: PathBuf,
}

impl ImageSource {
    /// Whether hive's own registry is meant.
    pub(super) fn is_own(&self, image: &ImageRef) -> bool {
        self.own_names.contains(&image.registry)
    }

    /// The image, if it is here. `remembered`: what was pulled before will do.
    pub(super) fn without_pull(&self, image: &ImageRef, remembered: bool) -> Option<LocalImage> {
        if self.is_own(image) {
            return self.own(image).ok();
        }
        // A digest can't mean anything else tomorrow.
        if remembered || image.digest.is_some() { self.remembered(image) } else { None }
    }

    /// Reads an image from hive's own registry: its blobs are used where they lie.
    ///
    /// # Errors
    /// Text in the words of a registry client.
    pub(super) fn own(&self, image: &ImageRef) -> Result<LocalImage, String> {
        let top = self.manifest(image, &image.reference())?;
        let digest = top.0;
        let manifest = match self.for_this_machine(&top.1)? {
            Some(inner) => self.manifest(image, &inner)?.1,
            None => top.1,
        };
        let config = self.blob(object::text(&manifest, "/config/digest"))?;
        let config =
            std::fs::read(&config).map_err(|error| format!("cannot read {}: {error}", config.display()))?;
        let config = serde_json::from_slice(&config)
            .map_err(|error| format!("the image's config is not JSON: {error}"))?;
        let layers = object::array(&manifest, "/layers").iter().map(|layer| {
            let digest = object::text(layer, "/digest").to_owned();
            let path = self.blob(&digest)?;
            Ok(LayerBlob { digest, media_type: object::text(layer, "/mediaType").to_owned(), path })
        });
        let layers = layers.collect::<Result<_, String>>()?;
        Ok(LocalImage { digest, config, layers })
    }

    fn manifest(&self, image: &ImageRef, reference: &str) -> Result<(String, Value), String> {
        let found =
            self.registry.manifest(&image.repository, reference).map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| {
            format!("{}/{}:{reference}: not found: manifest unknown", image.registry, image.repository)
        })?;
        let parsed = serde_json::from_slice(&found.bytes)
            .map_err(|error| format!("the manifest is not JSON: {error}"))?;
        Ok((found.digest.to_string(), parsed))
    }

    /// The entry of an index that this machine runs; `None` if it is no index.
    fn for_this_machine(&self, manifest: &Value) -> Result<Option<String>, String> {
        let Some(entries) = manifest.get("manifests").and_then(Value::as_array) else { return Ok(None) };
        let fits = |entry: &&Value| {
            object::text(entry, "/platform/os") == self.platform.os
                && object::text(entry, "/platform/architecture") == self.platform.architecture
        };
        match entries.iter().find(fits) {
            Some(entry) => Ok(Some(object::text(entry, "/digest").to_owned())),
            None => Err(format!("no match for platform in manifest: this machine is {}", self.platform)),
        }
    }

    fn blob(&self, digest: &str) -> Result<PathBuf, String> {
        let parsed: Digest =
            digest.parse().map_err(|error| format!("the manifest names no blob: {error}"))?;
        self.registry.blob_path(&parsed).ok_or_else(|| format!("blob {digest} is not in the registry"))
    }

    fn note(&self, image: &ImageRef) -> PathBuf {
        self.dirs.notes.join(format!("{}.json", Digest::of(image.to_string().as_bytes()).hex()))
    }

    fn remembered(&self, image: &ImageRef) -> Option<LocalImage> {
        let bytes = std::fs::read(self.note(image)).ok()?;
        let pulled: Pulled = serde_json::from_slice(&bytes).ok()?;
        let complete = pulled.layers.iter().all(|layer| layer.path.exists());
        complete.then(|| LocalImage {
            digest: pulled.digest,
            config: pulled.config,
            layers: pulled
                .layers
                .into_iter()
                .map(|PulledLayer { digest, media_type, path }| LayerBlob { digest, media_type, path })
                .collect(),
        })
    }

    /// Notes a pulled image. Without the note it is only pulled again some day.
    pub(super) fn remember(&self, image: &ImageRef, found: &LocalImage) {
        let layers = found.layers.iter().map(|layer| PulledLayer {
            digest: layer.digest.clone(),
            media_type: layer.media_type.clone(),
            path: layer.path.clone(),
        });
        let pulled =
            Pulled { digest: found.digest.clone(), config: found.config.clone(), layers: layers.collect() };
        let note = self.note(image);
        let written = serde_json::to_vec(&pulled).map_err(std::io::Error::from).and_then(|bytes| {
            std::fs::create_dir_all(&self.dirs.notes)?;
            let part = note.with_extension("part");
            std::fs::write(&part, bytes)?;
            std::fs::rename(&part, &note)
        });
        if let Err(error) = written {
            tracing::warn!(%error, path = %note.display(), "a pulled image was not noted");
        }
    }

    /// Those of the images that need no pull.
    pub(crate) fn found_here(&self, images: &BTreeSet<String>) -> Vec<LocalImage> {
        images.iter().filter_map(|text| self.without_pull(&text.parse().ok()?, true)).collect()
    }

    /// Removes pulled images that are not in `needed` and older than `min_age`, with the blobs that only they had.
    ///
    /// # Errors
    /// When the directories can't be read or written.
    pub(crate) fn forget_pulled(&self, needed: &BTreeSet<String>, min_age: Duration) -> std::io::Result<()> {
        let references = needed.iter().filter_map(|text| text.parse::<ImageRef>().ok());
        let kept: BTreeSet<_> = references.map(|image| self.note(&image)).collect();
        let mut blobs = BTreeSet::new();
        for note in files(&self.dirs.notes)? {
            if !kept.contains(&note) && is_older(&note, min_age)? {
                std::fs::remove_file(&note)?;
            } else if let Ok(pulled) = serde_json::from_slice::<Pulled>(&std::fs::read(&note)?) {
                blobs.extend(pulled.layers.into_iter().map(|layer| layer.path));
            }
        }
        for blob in files(&self.dirs.blobs.join("sha256"))? {
            if !blobs.contains(&blob) && is_older(&blob, min_age)? {
                std::fs::remove_file(&blob)?;
            }
        }
        Ok(())
    }
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_older(path: &Path, age: Duration) -> std::io::Result<bool> {
    let modified = std::fs::metadata(path)?.modified()?;
    Ok(modified.elapsed().is_ok_and(|elapsed| elapsed > age))
}
