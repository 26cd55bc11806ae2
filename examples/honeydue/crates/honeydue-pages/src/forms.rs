//! Cookies, and the check that a form came from our own page.
//!
//! Cookies are `SameSite=Lax`, so another site's form arrives without one. Browsers also say where a request came from; a
//! changing request that says "not from you" is refused before any handler sees it.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use honeydue_service::{SettingError, settings};

/// How cookies are set. Secure ones have the prefix `__Host-`: browsers accept them over HTTPS only, and no other host of the same
/// domain can set one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookies {
    is_secure: bool,
}

impl Cookies {
    /// Reads `COOKIE_SECURE` (`true` if absent). `false` is allowed only where `ENVIRONMENT` is `local`, which has no TLS.
    ///
    /// # Errors
    /// When it is neither word, or `false` in another environment.
    pub fn from_environment() -> Result<Self, SettingError> {
        let is_secure = settings::parsed("COOKIE_SECURE", true, "true or false")?;
        Self::new(is_secure, &settings::text("ENVIRONMENT", ""))
    }

    fn new(is_secure: bool, environment: &str) -> Result<Self, SettingError> {
        if is_secure || environment == "local" {
            return Ok(Self { is_secure });
        }
        let expected = "`true`: only ENVIRONMENT=local may send cookies without TLS";
        Err(SettingError::Unreadable { name: "COOKIE_SECURE", expected })
    }

    /// Returns the value of the cookie `name`.
    #[must_use]
    pub fn get(self, headers: &HeaderMap, name: &str) -> Option<String> {
        let name = self.full(name);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .filter(|value| !value.is_empty())
    }

    /// Returns a `Set-Cookie` value for a cookie that scripts can't read. `seconds` 0 deletes it.
    #[must_use]
    pub fn set(self, name: &str, value: &str, seconds: u32) -> String {
        let (name, secure) = (self.full(name), if self.is_secure { "; Secure" } else { "" });
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    fn full(self, name: &str) -> String {
        if self.is_secure { format!("__Host-{name}") } else { name.to_owned() }
    }
}

/// Middleware that refuses a changing request from another origin.
pub async fn same_origin(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !is_ours(request.headers()) {
        return (StatusCode::FORBIDDEN, "this form was not sent from a honeyDue page\n").into_response();
    }
    next.run(request).await
}

/// True unless the browser says that the request came from elsewhere. Clients that are no browsers say nothing.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (Some(_), None) => false,
        (None, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; session=abc; b=2")]);
        let plain = Cookies::new(false, "local").unwrap();
        assert_eq!(plain.get(&headers, "session").as_deref(), Some("abc"));
        assert_eq!(plain.get(&headers, "sess"), None);
    }

    #[test]
    fn secure_cookie_has_the_host_prefix_and_no_other_is_read() {
        let secure = Cookies::new(true, "production").unwrap();
        let set = secure.set("session", "abc", 60);
        assert_eq!(set, "__Host-session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(secure.get(&headers(&[("cookie", "session=planted")]), "session"), None);
        let both = headers(&[("cookie", "session=planted; __Host-session=abc")]);
        assert_eq!(secure.get(&both, "session").as_deref(), Some("abc"));
    }

    #[test]
    fn insecure_cookies_are_refused_outside_local() {
        assert!(Cookies::new(false, "local").is_ok());
        for environment in ["production", "development", ""] {
            let refused = Cookies::new(false, environment).unwrap_err().to_string();
            assert!(refused.starts_with("COOKIE_SECURE is not `true`"), "{refused}");
        }
    }

    #[test]
    fn only_our_own_pages_may_change_things() {
        let cases: [(&[(&str, &str)], bool); 6] = [
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("origin", "http://web.localhost:8080"), ("host", "web.localhost:8080")], true),
            (&[("origin", "http://evil.example.com"), ("host", "web.localhost:8080")], false),
            (&[], true),
        ];
        for (pairs, expected) in cases {
            let headers = pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            assert_eq!(is_ours(&headers), expected, "{pairs:?}");
        }
    }
}
