//! Image references, `[registry/]repository[:tag][@digest]`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;

/// Where an image is. Docker's rule decides what is a registry: the part before the first `/` is one if it holds a
/// `.` or a `:` or is `localhost`; otherwise the image is on `docker.io`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Host and port, `docker.io` if the text named none.
    pub registry: String,
    /// Path inside the registry, such as `admin/honeydue-api`. `library/` is added for bare Docker Hub names.
    pub repository: String,
    /// The tag, if one was given.
    pub tag: Option<String>,
    /// The digest, if the reference is pinned.
    pub digest: Option<Digest>,
}

/// Text that is not an image reference.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{text}` is not an image reference: {why}")]
pub struct ImageRefError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl ImageRef {
    /// The same image, pinned to `digest` and without its tag.
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository at `tag`.
    pub fn tagged(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// What a registry's API wants after `/manifests/`: the digest, else the tag, else `latest`.
    pub fn reference(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, ImageRefError> {
        let wrong = |why: &str| ImageRefError { text: text.to_owned(), why: why.to_owned() };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|error: crate::DigestError| wrong(&error.to_string()))?))
            }
            None => (text, None),
        };
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
            _ => ("docker.io", rest),
        };
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (path, None),
        };
        if path.is_empty() {
            return Err(wrong("it names no repository"));
        }
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        if !path.chars().all(fine) || path.starts_with('/') || path.ends_with('/') || path.contains("//") {
            return Err(wrong("a repository has only lower-case letters, digits, `.`, `_`, `-` and `/`"));
        }
        if let Some(tag) = &tag {
            let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if tag.is_empty() || tag.len() > 128 || !tag.chars().all(fine) || tag.starts_with(['.', '-']) {
                return Err(wrong(
                    "a tag has only letters, digits, `.`, `_` and `-`, at most 128, and begins with none of `.-`",
                ));
            }
        }
        let repository = if registry == "docker.io" && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageRefError;

    fn try_from(text: String) -> Result<Self, ImageRefError> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_rules() {
        for (text, full) in [
            ("redis", "docker.io/library/redis"),
            ("redis:7-alpine", "docker.io/library/redis:7-alpine"),
            ("grafana/agent", "docker.io/grafana/agent"),
            ("localhost:5000/api:v1", "localhost:5000/api:v1"),
            ("localhost/api", "localhost/api"),
            (
                "registry.example.com/admin/honeydue-api:d3708e6",
                "registry.example.com/admin/honeydue-api:d3708e6",
            ),
        ] {
            assert_eq!(text.parse::<ImageRef>().map(|image| image.to_string()), Ok(full.to_owned()));
        }
    }

    #[test]
    fn pinning_drops_the_tag() {
        let image: ImageRef = "localhost:5000/api:v1".parse().expect("valid");
        let digest = Digest::of(b"x");
        assert_eq!(image.pinned(digest).to_string(), format!("localhost:5000/api@{digest}"));
        assert_eq!(image.pinned(digest).reference(), digest.to_string());
        assert_eq!(image.reference(), "v1");
    }

    #[test]
    fn rejects_nonsense() {
        for text in ["", "UPPER/case", "a:", "a:b c", "a@sha256:zz", "localhost:5000/", "a//b"] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }
}
