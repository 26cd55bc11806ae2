//! What a path is about.

use super::query::decoded;
use crate::kind::Kind;

/// Something that can be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz` and its like.
    Health,
    /// `/version`.
    Version,
    /// `/api` (core) and `/apis`.
    Groups { core: bool },
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`.
    Resources { group: String, version: String },
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/<path>`.
    OpenApi(String),
    /// A review: asked, never stored.
    Review(&'static str),
    /// All objects of a kind.
    Collection { kind: Kind, namespace: Option<String> },
    /// One object, or a part of it.
    Object { kind: Kind, namespace: Option<String>, name: String, part: Part },
    /// Nothing that is served.
    Unknown,
}

/// What of an object is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Status,
    Scale,
    Log,
    Eviction,
    Finalize,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(|part| decoded(part, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["version"] => Self::Version,
            ["api"] => Self::Groups { core: true },
            ["apis"] => Self::Groups { core: false },
            ["openapi", "v3"] => Self::OpenApiIndex,
            ["openapi", "v3", path @ ..] => Self::OpenApi(path.join("/")),
            ["api", version] => Self::Resources { group: String::new(), version: (*version).to_owned() },
            ["api", version, rest @ ..] => Self::resource("", version, rest),
            ["apis", group] => Self::Group((*group).to_owned()),
            ["apis", group, version] => {
                Self::Resources { group: (*group).to_owned(), version: (*version).to_owned() }
            }
            ["apis", group, version, rest @ ..] => Self::resource(group, version, rest),
            _ => Self::Unknown,
        }
    }

    fn resource(group: &str, version: &str, rest: &[&str]) -> Self {
        let (namespace, rest) = match rest {
            // A namespace's own parts have the shape of a kind inside of it.
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let [plural, rest @ ..] = rest else { return Self::Unknown };
        if let Some((_, _, kind)) =
            crate::discovery::REVIEWS.iter().find(|(g, p, _)| *g == group && p == plural && version == "v1")
        {
            return Self::Review(kind);
        }
        let Some(kind) = Kind::find_plural(group, version, plural) else { return Self::Unknown };
        if namespace.is_some() && !kind.namespaced() {
            return Self::Unknown;
        }
        let subresources = kind.info().subresources;
        let part = match rest {
            [] => return Self::Collection { kind, namespace },
            [_] => Part::Whole,
            [_, "status"] if subresources.status => Part::Status,
            [_, "scale"] if subresources.scale => Part::Scale,
            [_, "eviction"] if subresources.eviction => Part::Eviction,
            [_, "log"] if subresources.log => Part::Log,
            [_, "finalize"] if kind == Kind::NAMESPACE => Part::Finalize,
            _ => return Self::Unknown,
        };
        if kind.namespaced() && namespace.is_none() {
            return Self::Unknown;
        }
        Self::Object { kind, namespace, name: rest[0].to_owned(), part }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Part, Route};

    #[test]
    fn paths_are_understood() {
        let namespace = || Some("app".to_owned());
        assert_eq!(Route::of("/api/v1/pods"), Route::Collection { kind: Kind::POD, namespace: None });
        assert_eq!(
            Route::of("/apis/apps/v1/namespaces/app/deployments/"),
            Route::Collection { kind: Kind::DEPLOYMENT, namespace: namespace() }
        );
        let object = |kind, namespace, name: &str, part| Route::Object {
            kind,
            namespace,
            name: name.to_owned(),
            part,
        };
        assert_eq!(
            Route::of("/apis/apps/v1/namespaces/app/deployments/web/scale"),
            object(Kind::DEPLOYMENT, namespace(), "web", Part::Scale)
        );
        assert_eq!(Route::of("/api/v1/namespaces/app"), object(Kind::NAMESPACE, None, "app", Part::Whole));
        assert_eq!(
            Route::of("/api/v1/namespaces/app/status"),
            object(Kind::NAMESPACE, None, "app", Part::Status)
        );
        assert_eq!(
            Route::of("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"),
            object(Kind::CLUSTER_ROLE, None, "system:node", Part::Whole)
        );
        assert_eq!(Route::of("/api/v1/namespaces/app/pods/p/exec"), Route::Unknown);
        assert_eq!(Route::of("/api/v1/pods/p"), Route::Unknown);
        assert_eq!(Route::of("/apis/apps/v1/namespaces/app/nodes"), Route::Unknown);
    }
}
