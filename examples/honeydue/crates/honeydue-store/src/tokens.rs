//! Session tokens: random, and kept only in sealed form, so that a leaked table lets nobody in.

use honeydue_service::{Purpose, Sealer};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The token that proves a session: 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Shows nothing: a token in a log is a session given away.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Parses what a client sent; `None` for anything that isn't a token, which is never sealed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// Returns its text, for the client.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }

    /// Returns its text, to compare it.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// Returns its sealed form, by which the tables and the cache know it: 64 hexadecimal digits.
    #[must_use]
    pub fn sealed(&self, sealer: &Sealer) -> String {
        sealer.seal(Purpose::Session, &self.0)
    }

    /// A new token from the system's randomness; `None` if it has none to give.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(hex::encode(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_64_hexadecimal_digits_and_nothing_else() {
        let token = Token::random().unwrap().into_text();
        assert!(Token::parse(&token).is_some());
        let long = format!("{token}0");
        for text in [
            "",
            "honeydue keeper",
            "keeper until 9999999999",
            &token[1..],
            &long,
            &token.replace(|_: char| true, "G"),
            &"A".repeat(64),
        ] {
            assert_eq!(Token::parse(text), None, "{text:?}");
        }
    }
}
