//! The client's address behind proxies.
//!
//! Behind an ingress every connection comes from the ingress, and the client's address is in `X-Forwarded-For`. A client may send
//! that header itself, but each proxy appends the address that it saw. Only the entries that our own proxies appended are trusted.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName},
    middleware::Next,
    response::Response,
};

use crate::settings::{SettingError, parsed};

/// The header to which each proxy appends the address of its client.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The number of proxies in front of a service.
#[derive(Debug, Clone, Copy)]
pub struct Proxies(usize);

impl Proxies {
    /// Reads `PROXY_HOPS` (1 if absent): 1 for an ingress, 2 for an ingress behind another proxy, 0 for direct connections.
    ///
    /// # Errors
    /// When it is not a whole number.
    pub fn from_environment() -> Result<Self, SettingError> {
        parsed("PROXY_HOPS", 1, "a whole number of proxies").map(Self)
    }

    /// Returns the client of a request from `peer`: the entry of the outermost of our proxies, or the peer if that entry is
    /// absent or no address. Entries before it are the client's own and never used.
    fn client(self, headers: &HeaderMap, peer: IpAddr) -> ClientAddress {
        let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
        let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
        let written = match self.0 {
            0 => None,
            ours => hops.get(hops.len().saturating_sub(ours)).and_then(|text| text.parse().ok()),
        };
        written.unwrap_or_else(|| ClientAddress::new(peer))
    }
}

/// A client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// Returns the network that limits apply to: the IPv4 address, or the IPv6 /64, which one household or server has to itself.
    #[must_use]
    pub fn network(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

impl std::fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Parses an entry of `X-Forwarded-For`: an address, with or without a port.
impl FromStr for ClientAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let with_port = || text.parse().map(|address: SocketAddr| address.ip());
        text.parse().or_else(|error| with_port().map_err(|_| error)).map(Self::new)
    }
}

/// Middleware that adds a [`ClientAddress`] to the request's extensions.
pub async fn note_client(
    State(proxies): State<Proxies>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = proxies.client(request.headers(), peer.ip());
    request.extensions_mut().insert(client);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_what_our_own_proxies_have_written() {
        let cases: [(usize, &[&str], &str); 11] = [
            (1, &[], "10.0.0.1"),
            (1, &["203.0.113.9"], "203.0.113.9"),
            (1, &["203.0.113.9:4711"], "203.0.113.9"),
            // What the client itself sent stands before it, on the same line or one of its own.
            (1, &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (1, &["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
            (1, &["198.51.100.1, nonsense"], "10.0.0.1"),
            (2, &["198.51.100.1, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
            (2, &["203.0.113.9"], "203.0.113.9"),
            (0, &["203.0.113.9"], "10.0.0.1"),
            (1, &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
            (1, &["::ffff:203.0.113.9"], "203.0.113.9"),
        ];
        for (hops, lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let found = Proxies(hops).client(&headers, "10.0.0.1".parse().unwrap());
            assert_eq!(found.network(), expected, "{hops} {lines:?}");
        }
    }
}
