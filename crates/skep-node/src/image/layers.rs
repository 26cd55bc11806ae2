//! The store of unpacked layers: one directory a digest, complete or absent.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::copy::lay;
use super::unpack::{Hidden, unpack};
use crate::files::remove_tree;
use crate::{LayerBlob, LocalImage, NodeError};

/// Unpacked layers under `images/layers`.
#[derive(Debug)]
pub(crate) struct Layers {
    folder: PathBuf,
    keep_owners: bool,
    busy: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Layers {
    /// Opens the store and drops what was half unpacked.
    pub(crate) fn open(state_dir: &Path, keep_owners: bool) -> Result<Self, NodeError> {
        let folder = state_dir.join("images/layers");
        let failed =
            |action| move |source| NodeError::State { action, path: state_dir.join("images/layers"), source };
        std::fs::create_dir_all(&folder).map_err(failed("create"))?;
        for entry in std::fs::read_dir(&folder).map_err(failed("read"))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                let _ = remove_tree(&entry.path());
            }
        }
        Ok(Self { folder, keep_owners, busy: Mutex::default() })
    }

    /// The directory that the layers' directories are in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The image's layers as names in [`Self::folder`], lowest first; `None` if one is not unpacked yet.
    pub(crate) fn unpacked(&self, image: &LocalImage) -> Option<Vec<String>> {
        let names: Vec<String> = image.layers.iter().map(|layer| name_of(&layer.digest)).collect();
        names.iter().all(|name| self.folder.join(name).is_dir()).then_some(names)
    }

    /// Whether an overlay of these layers shows the image: every whiteout could be told to the file system.
    pub(crate) fn overlay_well(&self, names: &[String]) -> bool {
        names.iter().all(|name| !self.hidden_file(name).exists())
    }

    /// Lays the layers over one another in `into`, as copies. Blocks.
    pub(crate) fn copy(&self, names: &[String], into: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(into)?;
        names.iter().try_for_each(|name| {
            let hidden: Vec<Hidden> = match std::fs::read(self.hidden_file(name)) {
                Ok(text) => serde_json::from_slice(&text)?,
                Err(_) => Vec::new(),
            };
            lay(&self.folder.join(name), into, &hidden)
        })
    }

    fn hidden_file(&self, name: &str) -> PathBuf {
        self.folder.with_file_name(format!("{name}.hidden"))
    }

    /// Unpacks what is missing. The same layer is unpacked once, whoever asks.
    pub(crate) async fn unpack(&self, image: &LocalImage) -> Result<(), String> {
        for layer in &image.layers {
            let turn = {
                let mut busy = self.busy.lock().unwrap_or_else(|held| held.into_inner());
                Arc::clone(busy.entry(layer.digest.clone()).or_default())
            };
            let _turn = turn.lock().await;
            let target = self.folder.join(name_of(&layer.digest));
            if target.is_dir() {
                continue;
            }
            let (layer, folder, keep_owners) = (layer.clone(), self.folder.clone(), self.keep_owners);
            let hidden = self.hidden_file(&name_of(&layer.digest));
            tokio::task::spawn_blocking(move || into_place(&layer, &folder, &target, &hidden, keep_owners))
                .await
                .map_err(|error| format!("unpack a layer: {error}"))??;
        }
        Ok(())
    }

    /// Deletes the layers whose digest is not in `keep`. An open overlay keeps its files until it is unmounted, but a restart of
    /// its container would miss them: the caller keeps what pods name.
    pub(crate) fn collect(&self, keep: &BTreeSet<String>) {
        let keep: BTreeSet<String> = keep.iter().map(|digest| name_of(digest)).collect();
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if keep.contains(&name) || name.starts_with('.') {
                continue;
            }
            // Out of sight first: a layer that is half deleted must not be taken for a whole one.
            let hidden = self.folder.join(format!(".deleted-{name}"));
            let _ = std::fs::remove_file(self.hidden_file(&name));
            if std::fs::rename(entry.path(), &hidden).is_ok()
                && let Err(error) = remove_tree(&hidden)
            {
                tracing::warn!(layer = name, %error, "delete an unused layer");
            }
        }
    }
}

fn name_of(digest: &str) -> String {
    digest.rsplit(':').next().unwrap_or(digest).chars().filter(char::is_ascii_alphanumeric).collect()
}

fn into_place(
    layer: &LayerBlob,
    folder: &Path,
    target: &Path,
    hidden: &Path,
    keep_owners: bool,
) -> Result<(), String> {
    let failed = |error: std::io::Error| {
        let mut words = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause {
            words.push_str(&format!(": {deeper}"));
            cause = deeper.source();
        }
        format!("failed to unpack layer {} from {}: {words}", layer.digest, layer.path.display())
    };
    let half = folder.join(format!(".unpacking-{}", name_of(&layer.digest)));
    let _ = remove_tree(&half);
    std::fs::create_dir(&half).map_err(failed)?;
    let untold = unpack(&layer.path, &half, keep_owners).map_err(failed).inspect_err(|_| {
        let _ = remove_tree(&half);
    })?;
    if untold.is_empty() {
        let _ = std::fs::remove_file(hidden);
    } else {
        let text = serde_json::to_vec(&untold).map_err(std::io::Error::other).map_err(failed)?;
        std::fs::write(hidden, text).map_err(failed)?;
    }
    std::fs::rename(&half, target).map_err(failed)
}
