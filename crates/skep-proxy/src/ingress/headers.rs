//! What a proxy takes from and adds to a message's head (RFC 9110, 7.6).

use std::net::SocketAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{
        CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Removes what concerns one connection only.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect::<Vec<_>>();
    for name in named {
        headers.remove(name);
    }
    let trailers = headers.get_all(TE).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case("trailers")))
    });
    let keep_alive = HeaderName::from_static("keep-alive");
    let proxy_connection = HeaderName::from_static("proxy-connection");
    for name in [
        CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        keep_alive,
        proxy_connection,
    ] {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// The host a request is for, as the client wrote it; empty when it did not say (HTTP/1.0).
pub(super) fn host(parts: &Parts) -> String {
    match parts.uri.authority() {
        Some(authority) => authority.as_str().to_owned(),
        None => parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned(),
    }
}

/// Turns a client's request head into the one that a backend gets.
pub(super) fn forwarded(parts: &mut Parts, host: &str, client: SocketAddr) {
    remove_hop_by_hop(&mut parts.headers);
    // Answered here: the client's body is asked for when the backend's connection takes it.
    parts.headers.remove(EXPECT);
    let hops = parts.headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let client = client.ip().to_canonical().to_string();
    let hops = hops.map(str::to_owned).chain([client]).collect::<Vec<_>>().join(", ");
    set(&mut parts.headers, FORWARDED_FOR, &hops);
    set(&mut parts.headers, FORWARDED_HOST, host);
    parts.headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    set(&mut parts.headers, HOST, host);
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(headers.insert(name, value)),
        // It came from a header, so that this cannot be; a header too few is better than a request refused.
        Err(_) => drop(headers.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_headers_go_and_those_that_connection_names() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        let mut left = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect::<Vec<_>>();
        left.sort();
        assert_eq!(left, ["te: \"trailers\"", "x-kept: \"1\""]);
    }

    #[test]
    fn a_request_is_rewritten_for_its_backend() {
        let request = http::Request::get("http://App.localhost:8080/a/b?c=d")
            .header("x-forwarded-for", "203.0.113.9")
            .header("x-forwarded-proto", "https")
            .body(())
            .expect("a valid request");
        let (mut parts, ()) = request.into_parts();
        let name = host(&parts);
        forwarded(&mut parts, &name, "[::ffff:127.0.0.1]:9".parse().expect("an address"));
        assert_eq!(parts.uri, "/a/b?c=d");
        assert_eq!(parts.headers["host"], "App.localhost:8080");
        assert_eq!(parts.headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
        assert_eq!(parts.headers["x-forwarded-host"], "App.localhost:8080");
        assert_eq!(parts.headers["x-forwarded-proto"], "http");
    }
}
