//! Which route a request takes: the matching of Kubernetes' Ingress (networking.k8s.io/v1).
//!
//! The most particular host wins (exact, then `*.suffix` for exactly one label, then none), then the longest path, then
//! `Exact` before `Prefix`, then the rule listed first. A host's rules that do not cover the path leave it to less particular ones.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How a rule's path is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathType {
    /// The path and nothing else, byte for byte.
    Exact,
    /// Element by element: `/api` covers `/api`, `/api/` and `/api/v1`, not `/apix`.
    Prefix,
}

/// Requests for a host and path, and who answers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// For messages, e.g. `honeydue/web`.
    pub name: String,
    /// `app.localhost`, `*.localhost` (one label), or any host when `None`. Without a port.
    pub host: Option<String>,
    /// Begins with a slash; empty is `/`.
    pub path: String,
    /// How `path` is compared.
    pub path_type: PathType,
    /// Taken in turn. When empty, requests get a 503.
    pub backends: Vec<SocketAddr>,
}

/// All rules, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    by_host: HashMap<HostPattern, Vec<Arc<Route>>>,
    backends: HashSet<SocketAddr>,
}

/// A rule with its turn counter.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: String,
    path: String,
    path_type: PathType,
    backends: Vec<SocketAddr>,
    next: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum HostPattern {
    Exact(String),
    /// What follows `*.`.
    Suffix(String),
    Any,
}

impl Rules {
    /// The rules of a table; routes that `old` has too go on where their turn is.
    pub(crate) fn new(table: Vec<Rule>, old: &Self) -> Self {
        let mut by_host: HashMap<HostPattern, Vec<Arc<Route>>> = HashMap::new();
        let backends = table.iter().flat_map(|rule| &rule.backends).copied().collect();
        for rule in table {
            let pattern = HostPattern::of(rule.host.as_deref());
            let path = match rule.path_type {
                PathType::Prefix => rule.path.trim_end_matches('/').to_owned(),
                PathType::Exact => rule.path,
            };
            let known = old.by_host.get(&pattern).into_iter().flatten();
            let next = known
                .filter(|route| route.path == path && route.path_type == rule.path_type)
                .map(|route| Arc::clone(&route.next))
                .next()
                .unwrap_or_default();
            let route =
                Route { name: rule.name, path, path_type: rule.path_type, backends: rule.backends, next };
            by_host.entry(pattern).or_default().push(Arc::new(route));
        }
        for routes in by_host.values_mut() {
            // Stable: of equal rules the one listed first stays first.
            routes.sort_by_key(|route| (Reverse(route.path.len()), route.path_type));
        }
        Self { by_host, backends }
    }

    /// The route for `host` (as a client sends it, perhaps with a port) and `path`.
    pub(crate) fn route(&self, host: &str, path: &str) -> Option<Arc<Route>> {
        let host = normal_host(host);
        let suffix = host.split_once('.').map(|(_, suffix)| HostPattern::Suffix(suffix.to_owned()));
        [Some(HostPattern::Exact(host)), suffix, Some(HostPattern::Any)]
            .into_iter()
            .flatten()
            .filter_map(|pattern| self.by_host.get(&pattern))
            .flatten()
            .find(|route| route.covers(path))
            .cloned()
    }

    /// The hosts that have rules, sorted, as a person would write them.
    pub(crate) fn hosts(&self) -> BTreeSet<String> {
        let text = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(host) => host.clone(),
            HostPattern::Suffix(suffix) => format!("*.{suffix}"),
            HostPattern::Any => "(any host)".to_owned(),
        };
        self.by_host.keys().map(text).collect()
    }

    /// Every backend of every rule.
    pub(crate) fn backends(&self) -> &HashSet<SocketAddr> {
        &self.backends
    }
}

impl Route {
    fn covers(&self, path: &str) -> bool {
        match self.path_type {
            PathType::Exact => path == self.path,
            PathType::Prefix => path
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// Every backend once, beginning with the one whose turn it is.
    pub(crate) fn turn(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..self.backends.len())
            .map(move |turn| self.backends[first.wrapping_add(turn) % self.backends.len()])
    }
}

impl HostPattern {
    fn of(host: Option<&str>) -> Self {
        match host {
            None | Some("" | "*") => Self::Any,
            Some(host) => match host.strip_prefix("*.") {
                Some(suffix) => Self::Suffix(normal_host(suffix)),
                None => Self::Exact(normal_host(host)),
            },
        }
    }
}

/// Lower case, without port and final dot.
fn normal_host(host: &str) -> String {
    let bare = match host.rsplit_once(':') {
        // The colons of a bracketed IPv6 address are not a port's.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    bare.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(table: &[(&str, &str, PathType)]) -> Rules {
        let rule = |&(host, path, path_type): &(&str, &str, PathType)| Rule {
            name: format!("{host}{path}"),
            host: (!host.is_empty()).then(|| host.to_owned()),
            path: path.to_owned(),
            path_type,
            backends: vec![],
        };
        Rules::new(table.iter().map(rule).collect(), &Rules::default())
    }

    /// The table of kubernetes.io/docs/concepts/services-networking/ingress, "Examples", without its several-path rows.
    #[test]
    fn paths_match_as_kubernetes_documents_them() {
        use PathType::{Exact, Prefix};
        for (path_type, path, request, matches) in [
            (Prefix, "/", "/any/path", true),
            (Prefix, "", "/any/path", true),
            (Exact, "/foo", "/foo", true),
            (Exact, "/foo", "/bar", false),
            (Exact, "/foo", "/foo/", false),
            (Exact, "/foo/", "/foo", false),
            (Prefix, "/foo", "/foo", true),
            (Prefix, "/foo", "/foo/", true),
            (Prefix, "/foo/", "/foo", true),
            (Prefix, "/foo/", "/foo/", true),
            (Prefix, "/aaa/bb", "/aaa/bbb", false),
            (Prefix, "/aaa/bbb", "/aaa/bbb", true),
            (Prefix, "/aaa/bbb/", "/aaa/bbb", true),
            (Prefix, "/aaa/bbb", "/aaa/bbb/", true),
            (Prefix, "/aaa/bbb", "/aaa/bbb/ccc", true),
            (Prefix, "/aaa/bbb", "/aaa/bbbxyz", false),
        ] {
            let found = rules(&[("", path, path_type)]).route("any.host", request).is_some();
            assert_eq!(found, matches, "{path_type:?} {path} on {request}");
        }
    }

    #[test]
    fn the_most_particular_host_then_the_longest_path_then_exact_wins() {
        use PathType::{Exact, Prefix};
        let rules = rules(&[
            ("", "/", Prefix),
            ("*.localhost", "/", Prefix),
            ("app.localhost", "/api", Prefix),
            ("app.localhost", "/api", Exact),
            ("app.localhost", "/api/v1", Prefix),
        ]);
        let name = |host: &str, path: &str| {
            rules.route(host, path).map(|route| (route.name.clone(), route.path_type))
        };
        let rule = |name: &str, path_type| Some((name.to_owned(), path_type));
        assert_eq!(name("APP.localhost.:8080", "/api"), rule("app.localhost/api", Exact));
        assert_eq!(name("app.localhost", "/api/"), rule("app.localhost/api", Prefix));
        assert_eq!(name("app.localhost", "/api/v1/x"), rule("app.localhost/api/v1", Prefix));
        assert_eq!(name("app.localhost", "/other"), rule("*.localhost/", Prefix));
        assert_eq!(name("web.localhost:80", "/"), rule("*.localhost/", Prefix));
        assert_eq!(name("a.b.localhost", "/"), rule("/", Prefix));
        assert_eq!(name("[::1]:8080", "/"), rule("/", Prefix));
    }
}
