//! What `SECRET_KEY` is for: sealing session tokens, and proving to each other that two services are of one honeyDue.

use ring::hmac;

/// What a service seals to prove itself to the api.
const KEEPER_PHRASE: &str = "honeydue keeper";

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

    /// The sealed form of `text`: 64 hexadecimal digits.
    #[must_use]
    pub fn seal(&self, text: &str) -> String {
        hex::encode(hmac::sign(&self.key, text.as_bytes()))
    }

    /// True when `sealed` is the sealed form of `text`; takes the same time wherever they differ.
    #[must_use]
    pub fn verify(&self, text: &str, sealed: &str) -> bool {
        hex::decode(sealed).is_ok_and(|tag| hmac::verify(&self.key, text.as_bytes(), &tag).is_ok())
    }

    /// The token by which the admin service is let in to the api's keeper pages.
    #[must_use]
    pub fn keeper_token(&self) -> String {
        self.seal(KEEPER_PHRASE)
    }

    /// True for [`Sealer::keeper_token`] of the same key.
    #[must_use]
    pub fn is_keeper(&self, token: &str) -> bool {
        self.verify(KEEPER_PHRASE, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_recognises_what_it_sealed() {
        let sealer = Sealer::new("one");
        let sealed = sealer.seal("text");
        assert!(sealer.verify("text", &sealed));
        assert!(!sealer.verify("Text", &sealed));
        assert!(!Sealer::new("two").verify("text", &sealed));
        assert!(!sealer.verify("text", "not hexadecimal"));
        assert!(sealer.is_keeper(&Sealer::new("one").keeper_token()));
    }
}
