//! What can go wrong before any traffic flows.

use std::{io, net::SocketAddr};

use thiserror::Error;

/// A listening socket that could not be made. Nothing else is affected by it.
#[derive(Debug, Error)]
#[error("{name} cannot listen on {listen}{}", hint(.source))]
pub struct BindError {
    /// Who wanted to listen: a route's name, `ingress` or `dns`.
    pub name: String,
    /// The address as it was asked for.
    pub listen: SocketAddr,
    /// What the system answered.
    #[source]
    pub source: io::Error,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => ": another process or route holds that port (`ss -ltnp` names it)",
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        io::ErrorKind::PermissionDenied => ": ports below 1024 need root here",
        _ => "",
    }
}
