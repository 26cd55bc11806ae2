//! Session tokens: random, and kept only in sealed form, so that a leaked table lets nobody in.

use ring::rand::{SecureRandom as _, SystemRandom};

/// What a client shows to prove its session: 64 hexadecimal digits.
pub struct Token(pub String);

/// Shows nothing: a token in a log is a session given away.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new token from the system's randomness; `None` if it has none to give.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(hex::encode(bytes)))
    }
}
