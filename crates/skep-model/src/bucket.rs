//! The bucket that an app's files are in: not Skep's to fill, but its rules are part of what is shipped.

use std::fmt;

/// A bucket, and what it should do by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// `https://s3.eu-central-003.backblazeb2.com`.
    pub endpoint: String,
    /// Its name. Some stores have names with capitals.
    pub name: String,
    /// The store's region; `None`: the endpoint names it.
    pub region: Option<String>,
    /// Where Backblaze's native API is, if not at Backblaze.
    pub native_api: Option<String>,
    /// Key id and key; `None` when they were not asked for.
    pub credentials: Option<(String, String)>,
    /// What becomes of old objects.
    pub lifecycle: Vec<BucketLifecycle>,
    /// Which pages may speak to it.
    pub cors: Vec<BucketCors>,
    /// Prefixes that no rule may reach.
    pub keep: Vec<String>,
}

/// Leaves the key out.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("endpoint", &self.endpoint)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What becomes of objects under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketLifecycle {
    /// `uploads/`.
    pub prefix: String,
    /// Days from the upload until they are hidden.
    pub days_to_hide: Option<u32>,
    /// Days from then until they are deleted.
    pub days_to_delete: Option<u32>,
}

/// Which pages may speak to a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketCors {
    /// `https://example.com`.
    pub origins: Vec<String>,
    /// `PUT`, `GET`, …
    pub methods: Vec<String>,
}
