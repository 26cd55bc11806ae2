//! age-encrypted env files: whoever has the key of one of the recipients can read them, and so they can be committed.
//!
//! The format is age's own (<https://age-encryption.org/v1>), in its armor, with X25519 keys: `age` and `rage` read and write the
//! same files.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    path::Path,
};

use age::{
    Decryptor, Encryptor,
    armor::{ArmoredReader, ArmoredWriter, Format},
    secrecy::ExposeSecret as _,
    x25519::{Identity, Recipient},
};
use thiserror::Error;

/// The private keys at hand.
#[derive(Clone, Default)]
pub struct AgeKeys(Vec<Identity>);

/// Shows the public halves only.
impl fmt::Debug for AgeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgeKeys").field(&self.recipients()).finish()
    }
}

/// Why something can't be encrypted or decrypted. No text of it shows a key or a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AgeError {
    /// There is no key to decrypt with.
    #[error("it is encrypted, and there is no age key here")]
    NoKey,
    /// It is encrypted for others.
    #[error("it is encrypted for other keys than the ones here ({})", ours.join(", "))]
    NotForUs {
        /// The public halves of the keys that were tried.
        ours: Vec<String>,
    },
    /// It is no age file, or a damaged one.
    #[error("it can't be decrypted: {why}")]
    Damaged {
        /// age's words.
        why: String,
    },
    /// A line of a key file is no key.
    #[error("line {line} is no age key")]
    BadKey {
        /// From 1.
        line: usize,
    },
    /// Not a public key; perhaps the private one.
    #[error("not an age public key")]
    BadRecipient,
}

impl AgeKeys {
    /// A key that nobody has had before.
    pub fn generate() -> Self {
        Self(vec![Identity::generate()])
    }

    /// Reads a key file, as `age-keygen` writes it: comments and one key a line.
    ///
    /// # Errors
    /// [`AgeError::BadKey`] for a line that is neither.
    pub fn parse(text: &str) -> Result<Self, AgeError> {
        let lines = text.lines().map(str::trim).enumerate();
        let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        keys.map(|(index, line)| line.parse().map_err(|_| AgeError::BadKey { line: index + 1 }))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The same, as a key file's text.
    pub fn to_file(&self) -> String {
        let key = |key: &Identity| {
            format!("# public key: {}\n{}\n", key.to_public(), key.to_string().expose_secret())
        };
        self.0.iter().map(key).collect()
    }

    /// The public halves.
    pub fn recipients(&self) -> Vec<String> {
        self.0.iter().map(|key| key.to_public().to_string()).collect()
    }

    /// The text of an encrypted file.
    ///
    /// # Errors
    /// When no key here fits, or the file is damaged.
    pub fn decrypt(&self, encrypted: &str) -> Result<String, AgeError> {
        if self.0.is_empty() {
            return Err(AgeError::NoKey);
        }
        let damaged = |why: String| AgeError::Damaged { why };
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(encrypted.as_bytes()))
            .map_err(|error| damaged(error.to_string()))?;
        let mut text = String::new();
        match decryptor.decrypt(self.0.iter().map(|key| key as &dyn age::Identity)) {
            Ok(mut reader) => reader.read_to_string(&mut text).map_err(|error| damaged(error.to_string()))?,
            Err(age::DecryptError::NoMatchingKeys) => {
                return Err(AgeError::NotForUs { ours: self.recipients() });
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        Ok(text)
    }
}

impl AgeError {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoKey => {
                "put your key into ~/.config/skep/age.key, or its text into SKEP_AGE_KEY; without one yet, `skep secret keygen` makes it, and \
                 somebody who can read the file adds it to `recipients` and runs `skep secret rotate`"
            }
            Self::NotForUs { .. } => {
                "have somebody who can read it add your public key to `recipients` in skep.yaml and run `skep secret rotate`"
            }
            Self::Damaged { .. } => {
                "it should be an armored age file, as `skep secret set` or `age --armor` writes it"
            }
            Self::BadKey { .. } => {
                "a key file has comments and lines of `AGE-SECRET-KEY-1…`, as `age-keygen` writes it"
            }
            Self::BadRecipient => "a recipient is a public key, `age1…`; `skep secret keygen` prints yours",
        }
    }
}

/// For how many keys an armored file is encrypted, as its header tells; who they are it does not.
pub fn recipients_of(encrypted: &str) -> usize {
    let mut header = Vec::new();
    // A damaged file is told of when it is decrypted.
    let _ = ArmoredReader::new(encrypted.as_bytes()).take(64 << 10).read_to_end(&mut header);
    let header = String::from_utf8_lossy(&header);
    header
        .lines()
        .take_while(|line| !line.starts_with("---"))
        .filter(|line| line.starts_with("-> X25519"))
        .count()
}

/// Whether an env file is one of age's, by its name.
pub fn is_encrypted(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "age")
}

/// Checks that a text is a public key.
pub(crate) fn recipient(text: &str) -> Result<Recipient, AgeError> {
    text.parse().map_err(|_| AgeError::BadRecipient)
}

/// Encrypts `text` for every one of `recipients`.
///
/// # Errors
/// When one of them is no public key, or there is none.
pub fn encrypt(text: &str, recipients: &[String]) -> Result<String, AgeError> {
    let keys: Vec<Recipient> = recipients.iter().map(|text| recipient(text)).collect::<Result<_, _>>()?;
    let encryptor = Encryptor::with_recipients(keys.iter().map(|key| key as &dyn age::Recipient))
        .map_err(|error| AgeError::Damaged { why: error.to_string() })?;
    let mut encrypted = Vec::new();
    sealed(encryptor, text, &mut encrypted).map_err(|error| AgeError::Damaged { why: error.to_string() })?;
    String::from_utf8(encrypted).map_err(|error| AgeError::Damaged { why: error.to_string() })
}

fn sealed(encryptor: Encryptor, text: &str, into: &mut Vec<u8>) -> io::Result<()> {
    let mut writer = encryptor.wrap_output(ArmoredWriter::wrap_output(into, Format::AsciiArmor)?)?;
    writer.write_all(text.as_bytes())?;
    writer.finish()?.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_key_can_read_it() {
        let (ours, theirs, strangers) = (AgeKeys::generate(), AgeKeys::generate(), AgeKeys::generate());
        let recipients = [ours.recipients(), theirs.recipients()].concat();
        let encrypted = encrypt("TOKEN=hunter2\n", &recipients).expect("encrypted");
        assert_eq!(recipients_of(&encrypted), 2);
        assert!(
            encrypted.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n") && !encrypted.contains("hunter2")
        );
        for keys in [&ours, &theirs] {
            assert_eq!(keys.decrypt(&encrypted).as_deref(), Ok("TOKEN=hunter2\n"));
        }
        let refused = AgeError::NotForUs { ours: strangers.recipients() };
        assert_eq!(strangers.decrypt(&encrypted), Err(refused));
        assert_eq!(AgeKeys::default().decrypt(&encrypted), Err(AgeError::NoKey));
        let cut = &encrypted[..encrypted.len() / 2];
        assert!(matches!(ours.decrypt(cut), Err(AgeError::Damaged { .. })), "{:?}", ours.decrypt(cut));
        assert!(matches!(ours.decrypt("A=1"), Err(AgeError::Damaged { .. })));
    }

    #[test]
    fn a_key_file_is_what_age_keygen_writes() {
        let keys = AgeKeys::generate();
        let read = AgeKeys::parse(&format!("# created: 2026-11-26T00:00:00Z\n{}\n", keys.to_file()));
        assert_eq!(read.expect("a key file").recipients(), keys.recipients());
        assert_eq!(AgeKeys::parse("\n# no key\nhunter2\n").err(), Some(AgeError::BadKey { line: 3 }));
        assert!(!format!("{keys:?}").contains("SECRET"));
        let wrong = encrypt("", &["age1nobody".to_owned()]);
        assert_eq!(wrong, Err(AgeError::BadRecipient));
    }
}
