//! What a client is allowed to send: one object, whose every property is settled before.

use thiserror::Error;

/// The longest name of an object, in bytes.
const LONGEST_KEY: usize = 1024;
/// The most that one request may bring: 5 GiB.
const LARGEST: u64 = 5 << 30;

/// One object that a client may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub(crate) key: String,
    pub(crate) content_type: String,
    pub(crate) content_length: u64,
    pub(crate) sha256: Option<[u8; 32]>,
}

/// An upload that is not to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UploadError {
    /// A key that stores, proxies or forms would read as another one.
    #[error("`{key}` is no key to sign: {why}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A type that is not one plain type.
    #[error(
        "`{0}` is no content type to sign: expected one `type/subtype` in small letters, without parameters"
    )]
    ContentType(String),
    /// A size that no single request has.
    #[error("{0} bytes are no size to sign: expected 1 to {LARGEST}")]
    ContentLength(u64),
}

impl Upload {
    /// An object of exactly this key, type and size.
    ///
    /// # Errors
    /// When one of them could be read in two ways. A key is the app's to make: nothing of a client's text belongs in it.
    pub fn new(key: &str, content_type: &str, content_length: u64) -> Result<Self, UploadError> {
        if let Some(why) = fault(key) {
            return Err(UploadError::Key { key: key.to_owned(), why });
        }
        if !is_plain_type(content_type) {
            return Err(UploadError::ContentType(content_type.to_owned()));
        }
        if !(1..=LARGEST).contains(&content_length) {
            return Err(UploadError::ContentLength(content_length));
        }
        Ok(Self { key: key.to_owned(), content_type: content_type.to_owned(), content_length, sha256: None })
    }

    /// One that is never sent: what a store makes of a form is seen by it.
    pub(crate) fn probe() -> Self {
        Self {
            key: "skep-probe".to_owned(),
            content_type: "text/plain".to_owned(),
            content_length: 1,
            sha256: None,
        }
    }

    /// Of exactly these bytes, by their SHA-256. For stores that check it: Backblaze B2 refuses the header.
    #[must_use]
    pub fn with_sha256(self, sha256: [u8; 32]) -> Self {
        Self { sha256: Some(sha256), ..self }
    }
}

/// What makes a key one that two programs may read differently. `${filename}` is filled in by stores that take forms.
fn fault(key: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let folders = || key.split('/');
    if key.is_empty() || key.len() > LONGEST_KEY {
        Some("expected 1 to 1024 bytes")
    } else if !key.chars().all(is_plain) {
        Some("expected letters and digits of ASCII, `-`, `_`, `.` and `/`")
    } else if folders().any(|part| part.is_empty() || part == "." || part == "..") {
        Some("expected names between its slashes, none of them `.` or `..`")
    } else {
        None
    }
}

/// RFC 6838's restricted names.
fn is_plain_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "!#$&-^_.+".contains(c);
        (1..=127).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(is_plain)
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_can_be_read_in_two_ways_are_refused() {
        for key in ["uploads/7/0d9f.jpg", "a", "a-b_c/d.e/0"] {
            assert!(Upload::new(key, "image/png", 1).is_ok(), "{key}");
        }
        let long = "a".repeat(1025);
        for key in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            "a/./b",
            "%2e%2e/a",
            "a b",
            "a\\b",
            "${filename}",
            "a/${filename}",
            "a\0",
            "a\n",
            "ﬁle",
            "a\u{202e}",
            "a?b",
            "a#b",
            "a+b",
            &long,
        ] {
            assert!(matches!(Upload::new(key, "image/png", 1), Err(UploadError::Key { .. })), "{key}");
        }
    }

    #[test]
    fn a_type_is_one_plain_type() {
        for kind in ["image/png", "image/heic", "application/pdf", "application/vnd.oasis.opendocument.text"]
        {
            assert!(Upload::new("a", kind, 1).is_ok(), "{kind}");
        }
        for kind in [
            "",
            "image",
            "image/",
            "/png",
            "Image/png",
            "image/PNG",
            "image/png ",
            " image/png",
            "image/png;charset=x",
            "image/png,text/html",
            "image/png\r\nx: y",
            "image/png\0",
            "image/*",
            "image/png/x",
        ] {
            assert!(matches!(Upload::new("a", kind, 1), Err(UploadError::ContentType(_))), "{kind:?}");
        }
    }

    #[test]
    fn there_is_something_to_send_and_one_request_holds_it() {
        for size in [0, LARGEST + 1, u64::MAX] {
            assert_eq!(Upload::new("a", "image/png", size), Err(UploadError::ContentLength(size)));
        }
        assert!(Upload::new("a", "image/png", LARGEST).is_ok());
    }
}
