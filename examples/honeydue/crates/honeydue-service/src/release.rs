//! Which release a process is: what a person looks at to see whether a deploy or a rollback has arrived.

use serde::{Deserialize, Serialize};

use crate::settings;

/// A process's own account of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// `api`, `worker`, `admin` or `web`.
    pub service: String,
    /// The version in the source it was built from.
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
            version: version.to_owned(),
            commit: settings::optional("GIT_COMMIT"),
            environment: settings::text("ENVIRONMENT", "development"),
            greeting: settings::text("GREETING", ""),
            pod: settings::optional("POD_NAME"),
        }
    }
}
