//! Who may see the page: whoever knows `ADMIN_PASSWORD`, or, where `ADMIN_ACCESS` is `open` (one's own machine), everyone.

use axum::http::HeaderMap;
use honeydue_pages::forms::Cookies;
use honeydue_service::{Purpose, Sealer, SettingError, settings};
use jiff::Timestamp;

/// The cookie that shows that a browser gave the password.
pub(crate) const COOKIE: &str = "honeydue_keeper";
/// How long it counts.
pub(crate) const COOKIE_SECONDS: u32 = 12 * 60 * 60;

/// The rule, as configured.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// Everyone who reaches the page may see it.
    Open,
    /// The password, kept in sealed form only.
    Password {
        /// Seals the password, and the cookies that stand for it.
        sealer: Sealer,
        /// `ADMIN_PASSWORD`, sealed.
        sealed: String,
    },
}

impl Access {
    /// Reads `ADMIN_ACCESS` (`password` if absent) and `ADMIN_PASSWORD`.
    ///
    /// # Errors
    /// When there is no password, or the rule is neither word.
    pub(crate) fn from_environment(sealer: Sealer) -> Result<Self, SettingError> {
        match settings::text("ADMIN_ACCESS", "password").as_str() {
            "open" => Ok(Self::Open),
            "password" => {
                let sealed = sealer.seal(Purpose::AdminPassword, &settings::secret("ADMIN_PASSWORD")?);
                Ok(Self::Password { sealer, sealed })
            }
            _ => Err(SettingError::Unreadable { name: "ADMIN_ACCESS", expected: "`password` or `open`" }),
        }
    }

    /// True when a request's cookie, or the rule, lets it in at `now`.
    pub(crate) fn admits(&self, cookies: Cookies, headers: &HeaderMap, now: Timestamp) -> bool {
        match self {
            Self::Open => true,
            Self::Password { sealer, .. } => {
                cookies.get(headers, COOKIE).is_some_and(|cookie| is_valid(sealer, &cookie, now))
            }
        }
    }

    /// The cookie's value for whoever gave the right password; `None` for a wrong one.
    pub(crate) fn pass(&self, password: &str, now: Timestamp) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Password { sealer, sealed } => {
                sealer.verify(Purpose::AdminPassword, password, sealed).then(|| {
                    let until = now.as_second() + i64::from(COOKIE_SECONDS);
                    format!("{until}.{}", sealer.seal(Purpose::AdminCookie, &until.to_string()))
                })
            }
        }
    }
}

fn is_valid(sealer: &Sealer, cookie: &str, now: Timestamp) -> bool {
    let Some((until, seal)) = cookie.split_once('.') else { return false };
    until
        .parse()
        .is_ok_and(|time: i64| now.as_second() < time && sealer.verify(Purpose::AdminCookie, until, seal))
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn a_pass_counts_until_its_time_and_only_with_its_seal() {
        let sealer = Sealer::new("key");
        let access =
            Access::Password { sealed: sealer.seal(Purpose::AdminPassword, "honey"), sealer: sealer.clone() };
        let now: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        assert_eq!(access.pass("vinegar", now), None);
        let pass = access.pass("honey", now).unwrap();
        assert!(is_valid(&sealer, &pass, now + 11.hours()));
        assert!(!is_valid(&sealer, &pass, now + 13.hours()));
        let stretched = pass.replacen('1', "9", 1);
        assert!(!is_valid(&sealer, &stretched, now));
        assert!(!is_valid(&Sealer::new("other"), &pass, now));
        // What the api would seal for anybody who sends it as a token.
        let until = now.as_second() + 60;
        for text in [until.to_string(), format!("keeper until {until}")] {
            let forged = format!("{until}.{}", sealer.seal(Purpose::Session, &text));
            assert!(!is_valid(&sealer, &forged, now), "{text}");
        }
    }
}
