//! The logins, in a folder that only this user can read and that goes when the build ends.

use std::{fs, io, os::unix::fs::symlink, path::Path};

use skep_registry::Client;
use tempfile::TempDir;

use crate::BuildError;

/// A folder in the shape of `~/.docker`.
pub(super) struct Account(TempDir);

impl Account {
    /// The user's own config with Skep's logins over it; of what else the user's folder has (plugins, contexts), links.
    pub(super) fn open(client: &Client) -> Result<Self, BuildError> {
        let made = || -> io::Result<TempDir> {
            let folder = tempfile::Builder::new().prefix("skep-account-").tempdir()?;
            let text = serde_json::to_vec(&client.docker_config())?;
            fs::write(folder.path().join("config.json"), text)?;
            for entry in user_folder().iter().flat_map(fs::read_dir).flatten().flatten() {
                if entry.file_name() != "config.json" {
                    symlink(entry.path(), folder.path().join(entry.file_name()))?;
                }
            }
            Ok(folder)
        };
        let path = std::env::temp_dir();
        made().map(Self).map_err(|source| BuildError::File { action: "write a login below", path, source })
    }

    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Its file, which buildah reads too.
    pub(super) fn file(&self) -> std::path::PathBuf {
        self.0.path().join("config.json")
    }
}

/// Where Docker keeps its things for this user.
pub(super) fn user_folder() -> Option<std::path::PathBuf> {
    let configured = std::env::var_os("DOCKER_CONFIG").filter(|path| !path.is_empty());
    configured.map(Into::into).or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".docker")))
}
