//! What `SECRET_KEY` is for: sealing session tokens, and proving to each other that two services are of one honeyDue.

use ring::hmac;

/// The purpose of a seal. A seal for one purpose is invalid for every other one, so a client can't obtain a token of one kind by
/// sending its text as a token of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A session's token, as the tables and the cache know it.
    Session,
    /// A session as the cache holds it.
    CachedSession,
    /// The token by which the admin service is let in to the api's keeper pages.
    Keeper,
    /// `ADMIN_PASSWORD`.
    AdminPassword,
    /// The cookie of a browser that has signed in to the admin page.
    AdminCookie,
    /// The client or account that a counter of login attempts is for.
    Attempts,
}

impl Purpose {
    /// Returns the label that precedes the text, ended by a zero byte. No label contains one.
    fn label(self) -> &'static str {
        match self {
            Self::Session => "honeydue session",
            Self::CachedSession => "honeydue cached session",
            Self::Keeper => "honeydue keeper",
            Self::AdminPassword => "honeydue admin password",
            Self::AdminCookie => "honeydue admin cookie",
            Self::Attempts => "honeydue attempts",
        }
    }
}

/// Makes and checks keyed hashes.
#[derive(Clone)]
pub struct Sealer {
    key: hmac::Key,
}

/// Leaves the key out.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer for `SECRET_KEY`. Another key makes every session unknown: everyone logs in again.
    #[must_use]
    pub fn new(secret_key: &str) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret_key.as_bytes()) }
    }

    /// Returns the sealed form of `text` for a purpose: 64 hexadecimal digits.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, text: &str) -> String {
        hex::encode(hmac::sign(&self.key, &message(purpose, text)))
    }

    /// Returns whether `sealed` is the sealed form of `text` for this purpose, in constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, text: &str, sealed: &str) -> bool {
        hex::decode(sealed).is_ok_and(|tag| hmac::verify(&self.key, &message(purpose, text), &tag).is_ok())
    }

    /// The token by which the admin service is let in to the api's keeper pages.
    #[must_use]
    pub fn keeper_token(&self) -> String {
        self.seal(Purpose::Keeper, "")
    }

    /// True for [`Sealer::keeper_token`] of the same key.
    #[must_use]
    pub fn is_keeper(&self, token: &str) -> bool {
        self.verify(Purpose::Keeper, "", token)
    }
}

fn message(purpose: Purpose, text: &str) -> Vec<u8> {
    [purpose.label().as_bytes(), &[0], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_recognises_what_it_sealed() {
        let (sealer, session) = (Sealer::new("one"), Purpose::Session);
        let sealed = sealer.seal(session, "text");
        assert!(sealer.verify(session, "text", &sealed));
        assert!(!sealer.verify(session, "Text", &sealed));
        assert!(!Sealer::new("two").verify(session, "text", &sealed));
        assert!(!sealer.verify(session, "text", "not hexadecimal"));
        assert!(sealer.is_keeper(&Sealer::new("one").keeper_token()));
    }

    #[test]
    fn seal_of_one_purpose_proves_nothing_for_another() {
        use Purpose::{AdminCookie, AdminPassword, Attempts, CachedSession, Keeper, Session};
        let sealer = Sealer::new("one");
        let all = [Session, CachedSession, Keeper, AdminPassword, AdminCookie, Attempts];
        for (one, other) in all.into_iter().flat_map(|one| all.map(|other| (one, other))) {
            for text in ["", "honeydue keeper", "honeydue keeper\0", "keeper until 9999999999"] {
                assert_eq!(
                    sealer.verify(other, text, &sealer.seal(one, text)),
                    one == other,
                    "{one:?} {other:?}"
                );
            }
        }
        assert!(!sealer.is_keeper(&sealer.seal(Session, "honeydue keeper")));
    }
}
