//! `postgres://user:password@host:port/database?key=value`, what follows the `://`.

use super::{Dsn, DsnError, port, some};

pub(super) fn parse(rest: &str) -> Result<Dsn, DsnError> {
    let mut dsn = Dsn::default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    dsn.user = some(&decode("user", user)?);
    dsn.password = some(&decode("password", password)?);
    if place.contains(',') {
        return Err(DsnError::part("host", "expected one host, found several; name the primary"));
    }
    let (host, number) = host_and_port(place)?;
    dsn.host = some(&decode("host", host)?);
    dsn.port = number.filter(|number| !number.is_empty()).map(port).transpose().map_err(|_| {
        // A password with an unencoded @, / or : shows as a strange port; its text must not be shown.
        DsnError::part("port", "expected a number; if the password has @ : / or ? in it, percent-encode them")
    })?;
    dsn.database = some(&decode("database", path)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode("parameters", key)?;
        dsn.set(&key, &decode(&key, &value.replace('+', " "))?)?;
    }
    Ok(dsn)
}

fn host_and_port(place: &str) -> Result<(&str, Option<&str>), DsnError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| DsnError::part("host", "an IPv6 address needs its closing `]`"))?;
        return Ok((host, after.strip_prefix(':')));
    }
    Ok(place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))))
}

fn decode(part: &str, text: &str) -> Result<String, DsnError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'%', None) => {
                return Err(DsnError::part(
                    part,
                    "a `%` must be followed by two hex digits; write %25 for a percent sign",
                ));
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| DsnError::part(part, "is not UTF-8 once percent-decoded"))
}

/// Percent-encodes everything but letters, digits and a few harmless signs.
#[cfg(feature = "postgres")]
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
