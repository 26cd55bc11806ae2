//! Names in the protocol, checked before they become paths.

use std::fmt;

use skep_model::Digest;

/// A repository, `admin/honeydue-api`: safe to be a relative path, and no component begins with `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Repository(String);

/// What is behind `manifests/` in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Tag(Tag),
    Digest(Digest),
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag(String);

impl Repository {
    /// `None` unless `name` is what the distribution spec calls a name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        (name.len() <= 255 && name.split('/').all(is_component)).then(|| Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Reference {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            return text.parse().ok().map(Self::Digest);
        }
        Tag::parse(text).map(Self::Tag)
    }
}

impl Tag {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let first = text.bytes().next()?;
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits =
            text.len() <= 128 && word(first) && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
        fits.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = component.split(alphanumeric).filter(|run| !run.is_empty());
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && separators.into_iter().all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_names() {
        for name in ["a", "admin/honeydue-api", "a.b/c_d/e__f/g---h", "0"] {
            assert!(Repository::parse(name).is_some(), "{name}");
        }
        for name in [
            "", "/a", "a/", "a//b", "../a", "a/..", "A", "a..b", "a___b", "_tags", "a/_tags", "-a", "a-",
            "a b", "ä",
        ] {
            assert!(Repository::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn references_are_tags_or_digests() {
        let digest = Digest::of(b"");
        assert_eq!(Reference::parse(&digest.to_string()), Some(Reference::Digest(digest)));
        assert!(matches!(Reference::parse("v1.2_3-x"), Some(Reference::Tag(_))));
        for text in ["", ".", "..", "-a", "a/b", "sha256:12", &"a".repeat(129)] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }
}
