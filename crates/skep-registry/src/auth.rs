//! Login: Basic, and tokens as the distribution specification's `WWW-Authenticate: Bearer` challenge asks for.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use crate::{Login, client::Access};

/// What to say in `Authorization`, by what it opens. Tokens are good for one repository and one kind of access.
#[derive(Debug, Default)]
pub(crate) struct Keyring(Mutex<HashMap<Lock, Key>>);

/// What a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lock {
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) access: Access,
}

struct Key {
    header: String,
    until: Option<Instant>,
}

/// Shows no secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Keyring {
    /// The header for `lock`, if one is known and still good.
    pub(crate) fn find(&self, lock: &Lock) -> Option<String> {
        let keys = self.0.lock().ok()?;
        let key = keys.get(lock)?;
        key.until.is_none_or(|until| until > Instant::now()).then(|| key.header.clone())
    }

    pub(crate) fn keep(&self, lock: Lock, header: String, good_for: Option<Duration>) {
        if let Ok(mut keys) = self.0.lock() {
            let until = good_for.map(|time| Instant::now() + time);
            keys.insert(lock, Key { header, until });
        }
    }
}

/// A `WWW-Authenticate` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Reads a header's value. `None` for schemes that we don't speak.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut fields = parameters(rest);
        Some(Self::Bearer {
            realm: fields.remove("realm")?,
            service: fields.remove("service"),
            scope: fields.remove("scope"),
        })
    }
}

/// `a="x, y",b=z` as a map. A quoted value may hold commas (a scope does).
fn parameters(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = next.trim_start_matches([',', ' ']);
    }
    found
}

/// What a token service answers.
#[derive(Deserialize)]
pub(crate) struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Token {
    /// The header's value and how long it is good for: a little less than it says, 60 s when it says nothing.
    pub(crate) fn header(self) -> Option<(String, Duration)> {
        let token = self.token.or(self.access_token).filter(|token| !token.is_empty())?;
        let seconds = self.expires_in.unwrap_or(60);
        let good_for = Duration::from_secs(seconds).saturating_sub(Duration::from_secs(10));
        Some((format!("Bearer {token}"), good_for))
    }
}

/// `Basic …`.
pub(crate) fn basic(login: &Login) -> String {
    let pair = format!("{}:{}", login.username, login.password);
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// The scope of a token: what we are about to do, beside what the challenge names.
pub(crate) fn scopes(lock: &Lock, challenged: Option<&str>) -> Vec<String> {
    let actions = match lock.access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    let ours = format!("repository:{}:{actions}", lock.repository);
    let mut scopes = vec![ours];
    // A mount's challenge names the other repository too.
    let prefix = format!("repository:{}:", lock.repository);
    for scope in challenged.into_iter().flat_map(str::split_whitespace) {
        if !scope.starts_with(&prefix) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let text = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            Challenge::parse(text),
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".to_owned(),
                service: Some("registry.docker.io".to_owned()),
                scope: Some("repository:a/b:pull,push".to_owned()),
            })
        );
        assert_eq!(Challenge::parse(r#"Basic realm="x""#), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=x"), None);
    }

    #[test]
    fn scope_of_a_push_with_a_mount() {
        let lock = Lock { registry: "r".to_owned(), repository: "a/b".to_owned(), access: Access::Push };
        assert_eq!(
            scopes(&lock, Some("repository:a/b:pull repository:c:pull")),
            ["repository:a/b:pull,push", "repository:c:pull"]
        );
    }

    #[test]
    fn no_secret_in_debug_text() {
        let keyring = Keyring::default();
        let lock = Lock { registry: "r".to_owned(), repository: "a".to_owned(), access: Access::Pull };
        keyring.keep(lock.clone(), "Basic c2VjcmV0".to_owned(), None);
        assert_eq!(keyring.find(&lock).as_deref(), Some("Basic c2VjcmV0"));
        assert!(!format!("{keyring:?}").contains("c2VjcmV0"));
        keyring.keep(lock.clone(), "Bearer old".to_owned(), Some(Duration::ZERO));
        assert_eq!(keyring.find(&lock), None);
    }
}
