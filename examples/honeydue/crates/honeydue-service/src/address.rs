//! Where a service listens.
//!
//! In most clusters a pod has a network of its own and the answer is "everywhere", its loopback included, which is where
//! `kubectl port-forward` comes from. A pod that shares its host's network, as on a machine without root, is given a loopback
//! address of its own instead, in `POD_IP` (`fieldRef: status.podIP`), and must keep to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::settings::{SettingError, optional, parsed};

/// Where to listen: `BIND_ADDR` (an address, or address:port), else `POD_IP` if that is a loopback address, else everywhere;
/// `PORT`, else `default_port`. Port 0 lets the system choose; the log line says which it was.
///
/// # Errors
/// When a setting is not an address or a port.
pub fn from_environment(default_port: u16) -> Result<SocketAddr, SettingError> {
    let port = parsed("PORT", default_port, "a port number")?;
    let set = |name| match optional(name).map(|value| parse(&value, port)) {
        Some(None) => Err(SettingError::Unreadable { name, expected: "an IP address, or address:port" }),
        set => Ok(set.flatten()),
    };
    let shared = set("POD_IP")?.filter(|address| address.ip().is_loopback());
    let everywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    Ok(set("BIND_ADDR")?.or(shared).unwrap_or(everywhere))
}

/// Returns where to serve metrics: the address of [`from_environment`], and `METRICS_PORT` (9464 if absent, the default of
/// OpenTelemetry's Prometheus exporter).
///
/// # Errors
/// When a setting is not an address or a port.
pub fn internal_from_environment() -> Result<SocketAddr, SettingError> {
    let port = parsed("METRICS_PORT", 9464, "a port number")?;
    Ok(SocketAddr::new(from_environment(port)?.ip(), port))
}

/// Opens `address` for listening and says so in the log.
///
/// # Errors
/// The system's answer: the port is taken, or the address is not this machine's.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

fn parse(value: &str, port: u16) -> Option<SocketAddr> {
    value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_bring_its_port() {
        assert_eq!(parse("127.4.0.9", 8000), "127.4.0.9:8000".parse().ok());
        assert_eq!(parse("127.4.0.9:81", 8000), "127.4.0.9:81".parse().ok());
        assert_eq!(parse("::1", 8000), "[::1]:8000".parse().ok());
        assert_eq!(parse("api", 8000), None);
    }
}
