//! Which release a process is: what a person looks at to see whether a deploy or a rollback has arrived.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::settings;

/// Where an image may carry a more exact label than the version in the source, such as `1.4.0-rc2`.
const LABEL: &str = "/etc/honeydue-release";

/// A process's own account of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// `api`, `worker`, `admin` or `web`.
    pub service: String,
    /// The image's own label (`/etc/honeydue-release`), or else the version in the source it was built from.
    pub version: String,
    /// The commit it was built from, where the build said so (`GIT_COMMIT`).
    pub commit: Option<String>,
    /// `production`, `local`, … (`ENVIRONMENT`).
    pub environment: String,
    /// A line from the ConfigMap (`GREETING`): it shows that configuration was rolled back together with the code.
    pub greeting: String,
    /// The pod, where the manifest passes its name (`POD_NAME`).
    pub pod: Option<String>,
}

impl Release {
    /// Reads what the environment adds to `service` and `version`.
    #[must_use]
    pub fn from_environment(service: &str, version: &str) -> Self {
        Self {
            service: service.to_owned(),
            version: label(Path::new(LABEL)).unwrap_or_else(|| version.to_owned()),
            commit: settings::optional("GIT_COMMIT"),
            environment: settings::text("ENVIRONMENT", "development"),
            greeting: settings::text("GREETING", ""),
            pod: settings::optional("POD_NAME"),
        }
    }

    /// Returns the release without its pod, for public addresses.
    #[must_use]
    pub fn public(self) -> Self {
        Self { pod: None, ..self }
    }
}

/// The first line of the file, where there is one.
fn label(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_label_has_its_source_s_version() {
        let folder = std::env::temp_dir().join(format!("honeydue-release-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("label");
        assert_eq!(label(&file), None);
        fs::write(&file, "\n").unwrap();
        assert_eq!(label(&file), None);
        fs::write(&file, " 1.4.0-rc2 \nbuilt by hand\n").unwrap();
        assert_eq!(label(&file).as_deref(), Some("1.4.0-rc2"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
