//! What must stay the same from one start to the next: kubectl caches by address, and image names hold the registry's port.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::HiveConfig;
use super::error::HiveError;
use super::state_dir::StateDir;

const FILE: &str = "settings.json";

/// Chosen at the first start, kept in the state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// The Node's name; objects refer to it, so a new host name does not change it.
    pub(super) node: Option<String>,
    api_port: Option<u16>,
    registry_port: Option<u16>,
}

/// Where API and registry listen.
#[derive(Debug)]
pub(super) struct Listeners {
    /// Found free; the API binds it itself.
    pub(super) api: SocketAddr,
    pub(super) registry: TcpListener,
}

impl Settings {
    fn load(home: &StateDir) -> Result<Self, HiveError> {
        let path = home.join(FILE);
        let failed = |source| HiveError::State { action: "read", path: path.clone(), source };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(io::Error::from(error))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Binds both sockets and keeps their ports, and the Node's name, for the next start.
    pub(super) async fn settle(home: &StateDir, config: &HiveConfig) -> Result<(Self, Listeners), HiveError> {
        let before = Self::load(home)?;
        let api = bind("API", config.api_port.or(before.api_port)).await?;
        let registry = bind("registry", config.registry_port.or(before.registry_port)).await?;
        let api = address(&api, "API")?;
        let settings = Self {
            node: Some(before.node.clone().unwrap_or_else(host_name)),
            api_port: Some(api.port()),
            registry_port: Some(address(&registry, "registry")?.port()),
        };
        if settings != before {
            let text = serde_json::to_vec_pretty(&settings).map_err(io::Error::from);
            let text =
                text.map_err(|source| HiveError::State { action: "write", path: home.join(FILE), source })?;
            home.write(FILE, &text)?;
        }
        Ok((settings, Listeners { api, registry }))
    }
}

async fn bind(what: &'static str, port: Option<u16>) -> Result<TcpListener, HiveError> {
    let port = port.unwrap_or(0);
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| HiveError::Port {
        what,
        port,
        source,
    })
}

/// Where a socket listens.
pub(super) fn address(listener: &TcpListener, what: &'static str) -> Result<SocketAddr, HiveError> {
    listener.local_addr().map_err(|source| HiveError::Port { what, port: 0, source })
}

/// This machine's name as a Kubernetes name.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name
        .trim()
        .to_ascii_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' })
        .take(63)
        .collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "hive".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_and_node_name_stay_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let home = StateDir::claim(dir.path()).unwrap();
        let config = HiveConfig::new(dir.path(), "/bin/true");
        let (first, listeners) = Settings::settle(&home, &config).await.unwrap();
        drop(listeners);
        let (second, listeners) = Settings::settle(&home, &config).await.unwrap();
        assert_eq!(first, second);
        let error = Settings::settle(&home, &config).await.unwrap_err().to_string();
        let taken = listeners.registry.local_addr().unwrap().port();
        assert!(error.contains(&format!("registry cannot listen on port {taken}")), "{error}");
        assert!(error.contains("ss -ltnp"), "{error}");
    }
}
