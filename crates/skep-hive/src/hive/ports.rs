//! What must stay the same from one start to the next: kubectl caches by address, and image names hold the registry's port.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use skep_proxy::{Ingress, IngressConfig};
use tokio::net::TcpListener;

use super::error::HiveError;
use super::state_dir::StateDir;
use super::{HTTP_PORT, HiveConfig};

const FILE: &str = "settings.json";

/// Chosen at the first start, kept in the state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// The Node's name; objects refer to it, so a new host name does not change it.
    pub(super) node: Option<String>,
    api_port: Option<u16>,
    registry_port: Option<u16>,
    http_port: Option<u16>,
}

/// Where API, registry and ingress listen.
#[derive(Debug)]
pub(super) struct Listeners {
    /// Found free; the API binds it itself.
    pub(super) api: SocketAddr,
    pub(super) registry: TcpListener,
    pub(super) ingress: Ingress,
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

    /// Binds the sockets and keeps their ports, and the Node's name, for the next start.
    pub(super) async fn settle(home: &StateDir, config: &HiveConfig) -> Result<(Self, Listeners), HiveError> {
        let before = Self::load(home)?;
        let api = bind("API", config.api_port.or(before.api_port)).await?;
        let registry = bind("registry", config.registry_port.or(before.registry_port)).await?;
        let ingress = listen(config.http_port.or(before.http_port).unwrap_or(HTTP_PORT))?;
        let api = address(&api, "API")?;
        let settings = Self {
            node: Some(before.node.clone().unwrap_or_else(host_name)),
            api_port: Some(api.port()),
            registry_port: Some(address(&registry, "registry")?.port()),
            http_port: Some(first(&ingress).port()),
        };
        if settings != before {
            let text = serde_json::to_vec_pretty(&settings).map_err(io::Error::from);
            let text =
                text.map_err(|source| HiveError::State { action: "write", path: home.join(FILE), source })?;
            home.write(FILE, &text)?;
        }
        Ok((settings, Listeners { api, registry, ingress }))
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

fn listen(port: u16) -> Result<Ingress, HiveError> {
    let start =
        |listen: Vec<SocketAddr>| Ingress::start(IngressConfig { listen, ..IngressConfig::default() });
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if port != 0 {
        // Browsers may try ::1 for *.localhost first; a machine without IPv6 does well without.
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        if let Ok(both) = start(vec![v4, v6]) {
            return Ok(both);
        }
    }
    start(vec![v4]).map_err(|error| HiveError::Port { what: "ingress", port, source: error.source })
}

/// The address that the ingress is known by.
pub(super) fn first(ingress: &Ingress) -> SocketAddr {
    ingress.addresses().first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
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
        let mut config = HiveConfig { http_port: Some(0), ..HiveConfig::new(dir.path(), "/bin/true") };
        let (first, listeners) = Settings::settle(&home, &config).await.unwrap();
        listeners.ingress.shutdown().await;
        drop(listeners);
        config.http_port = None;
        let (second, listeners) = Settings::settle(&home, &config).await.unwrap();
        assert_eq!(first, second);
        let error = Settings::settle(&home, &config).await.unwrap_err();
        let hint = error.hint().unwrap();
        let error = error.to_string();
        let taken = listeners.registry.local_addr().unwrap().port();
        assert!(error.contains(&format!("registry cannot listen on port {taken}")), "{error}");
        assert!(hint.contains("ss -ltnp"), "{hint}");
    }
}
