//! What a request's path is about.

use skep_model::Digest;

use super::refusal::Refusal;
use crate::names::{Reference, Repository};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Version,
    Catalog,
    Tags(Repository),
    Referrers(Repository, Digest),
    Blob(Repository, Digest),
    /// Where uploads begin.
    Uploads(Repository),
    Upload(Repository, String),
    Manifest(Repository, Reference),
}

impl Target {
    /// # Errors
    /// `NAME_INVALID`, `DIGEST_INVALID`, or 404 for paths that the protocol does not have.
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        // The only escape that clients use: a digest's colon.
        let path = path.replace("%3A", ":").replace("%3a", ":");
        let unknown = || Refusal::not_found(format!("{path} is not a path of the distribution API"));
        let below = path.strip_prefix("/v2").ok_or_else(unknown)?;
        let segments = below.trim_start_matches('/').split('/').collect::<Vec<_>>();
        match segments.as_slice() {
            [""] => Ok(Self::Version),
            ["_catalog"] => Ok(Self::Catalog),
            [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] if !name.is_empty() => {
                Ok(Self::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] if !name.is_empty() => {
                Ok(Self::Upload(repository(name)?, (*id).to_owned()))
            }
            [name @ .., "tags", "list"] if !name.is_empty() => Ok(Self::Tags(repository(name)?)),
            [name @ .., "referrers", text] if !name.is_empty() => {
                Ok(Self::Referrers(repository(name)?, digest(text)?))
            }
            [name @ .., "blobs", text] if !name.is_empty() => {
                Ok(Self::Blob(repository(name)?, digest(text)?))
            }
            [name @ .., "manifests", text] if !name.is_empty() => {
                let reference = Reference::parse(text).ok_or_else(|| Refusal::reference(text))?;
                Ok(Self::Manifest(repository(name)?, reference))
            }
            _ => Err(unknown()),
        }
    }
}

pub(super) fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error: skep_model::DigestError| Refusal::digest(error.to_string()))
}

fn repository(segments: &[&str]) -> Result<Repository, Refusal> {
    let name = segments.join("/");
    Repository::parse(&name).ok_or_else(|| Refusal::name(&name))
}
