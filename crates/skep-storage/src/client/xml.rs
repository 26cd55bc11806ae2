//! The answers that are documents, as far as they are read.

use serde::Deserialize;

/// Why a store refuses.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Failure {
    #[serde(default, rename = "Code")]
    pub(super) code: String,
    #[serde(default, rename = "Message")]
    pub(super) message: String,
}

/// The document of a refusal, if the text is one: it may come with a success, after a wait.
pub(super) fn failure(text: &str) -> Option<Failure> {
    let is_failure = text.contains("<Error>") || text.contains("<Error ");
    is_failure.then(|| quick_xml::de::from_str(text).ok()).flatten()
}

/// A page of versions.
#[derive(Debug, Deserialize)]
pub(super) struct Versions {
    #[serde(default, rename = "IsTruncated")]
    pub(super) is_truncated: bool,
    #[serde(default, rename = "NextKeyMarker")]
    pub(super) next_key: String,
    #[serde(default, rename = "NextVersionIdMarker")]
    pub(super) next_version: String,
    #[serde(default, rename = "$value")]
    pub(super) entries: Vec<Entry>,
}

/// A page of uploads in parts that are not finished.
#[derive(Debug, Deserialize)]
pub(super) struct Uploads {
    #[serde(default, rename = "IsTruncated")]
    pub(super) is_truncated: bool,
    #[serde(default, rename = "NextKeyMarker")]
    pub(super) next_key: String,
    #[serde(default, rename = "NextUploadIdMarker")]
    pub(super) next_upload: String,
    #[serde(default, rename = "Upload")]
    pub(super) uploads: Vec<Upload>,
}

/// An upload in parts.
#[derive(Debug, Deserialize)]
pub(super) struct Upload {
    #[serde(rename = "Key")]
    pub(super) key: String,
    #[serde(default, rename = "UploadId")]
    pub(super) id: String,
    #[serde(default, rename = "Initiated")]
    pub(super) initiated: String,
}

/// What a page of versions holds, in the store's order.
#[derive(Debug, Deserialize)]
pub(super) enum Entry {
    Version(Version),
    DeleteMarker(Version),
    #[serde(other)]
    Other,
}

/// One version of an object, or the mark that it was deleted.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    #[serde(rename = "Key")]
    pub(super) key: String,
    #[serde(rename = "VersionId")]
    pub(super) version: String,
    #[serde(default, rename = "IsLatest")]
    pub(super) is_latest: bool,
    #[serde(default, rename = "Size")]
    pub(super) size: u64,
    #[serde(default, rename = "LastModified")]
    pub(super) last_modified: String,
}
