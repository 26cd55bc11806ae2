//! What a bucket holds, by the native API.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Opened, TRIES};
use crate::{ListedVersion, StoreError, admin::Next};

/// Versions in one page: what one request may cost at the most.
const PAGE: u32 = 1000;

/// Where a page begins.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    name: String,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Files {
    files: Vec<File>,
    #[serde(default)]
    next_file_name: Option<String>,
    #[serde(default)]
    next_file_id: Option<String>,
}

/// A version of a file, or what stands for one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    pub(crate) file_id: String,
    pub(crate) file_name: String,
    /// `upload`, `copy`, `hide`, `start`, `folder`.
    #[serde(default)]
    action: String,
    #[serde(default)]
    pub(crate) content_length: Option<u64>,
    #[serde(default)]
    content_sha1: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default)]
    upload_timestamp: Option<i64>,
}

impl File {
    fn version(&self) -> ListedVersion {
        ListedVersion {
            key: self.file_name.clone(),
            version: Some(self.file_id.clone()),
            size: self.content_length.unwrap_or_default(),
            is_delete_marker: self.action == "hide",
            last_modified: self.upload_timestamp.and_then(|time| Timestamp::from_millisecond(time).ok()),
        }
    }

    /// The SHA-1 of its content; `None` for one that was uploaded in parts, whose checksum B2 does not know.
    pub(crate) fn sha1(&self) -> Option<&str> {
        let sha1 = self.content_sha1.as_deref()?;
        Some(sha1.strip_prefix("unverified:").unwrap_or(sha1)).filter(|sha1| sha1.len() == 40)
    }
}

impl Account {
    /// A page of versions, one of uploads in parts, and where the next begins.
    pub(in crate::admin) async fn versions(
        &self,
        prefix: &str,
        from: Option<&Next>,
    ) -> Result<(Vec<ListedVersion>, Vec<ListedVersion>, Option<Next>), StoreError> {
        let mut asked = json!({ "prefix": prefix, "maxFileCount": PAGE });
        if let Some(Next::B2(Start { name, id })) = from {
            asked["startFileName"] = json!(name);
            asked["startFileId"] = json!(id);
        } else if !prefix.is_empty() {
            asked["startFileName"] = json!(prefix);
        }
        let page: Files = self.in_bucket("b2_list_file_versions", asked).await?;
        let next = page.next_file_name.map(|name| Next::B2(Start { name, id: page.next_file_id }));
        let (uploads, files): (Vec<_>, Vec<_>) =
            page.files.into_iter().partition(|file| file.action == "start");
        let versions = files.iter().filter(|file| file.action != "folder").map(File::version).collect();
        Ok((versions, uploads.iter().map(File::version).collect(), next))
    }

    pub(in crate::admin) async fn unfinished(
        &self,
        prefix: &str,
        from: Option<&Next>,
    ) -> Result<(Vec<ListedVersion>, Option<Next>), StoreError> {
        let mut asked = json!({ "namePrefix": prefix, "maxFileCount": 100 });
        if let Some(Next::B2(Start { id, .. })) = from {
            asked["startFileId"] = json!(id);
        }
        let page: Files = self.in_bucket("b2_list_unfinished_large_files", asked).await?;
        let next = page.next_file_id.map(|id| Next::B2(Start { name: String::new(), id: Some(id) }));
        Ok((page.files.iter().map(File::version).collect(), next))
    }

    /// A page of the files that are there now.
    pub(crate) async fn files(
        &self,
        prefix: &str,
        from: Option<&str>,
        most: u32,
    ) -> Result<(Vec<File>, Option<String>), StoreError> {
        let mut asked = json!({ "prefix": prefix, "maxFileCount": most });
        if let Some(from) = from.or(Some(prefix)).filter(|from| !from.is_empty()) {
            asked["startFileName"] = json!(from);
        }
        let page: Files = self.in_bucket("b2_list_file_names", asked).await?;
        Ok((
            page.files.into_iter().filter(|file| matches!(file.action.as_str(), "upload" | "copy")).collect(),
            page.next_file_name,
        ))
    }

    /// Copies a file within the bucket.
    pub(crate) async fn copy(&self, from: &File, to: &str) -> Result<File, StoreError> {
        let asked = json!({ "sourceFileId": from.file_id, "fileName": to });
        self.in_bucket("b2_copy_file", asked).await
    }

    async fn in_bucket<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        mut body: Value,
    ) -> Result<T, StoreError> {
        let mut opened = self.opened.lock().await;
        if opened.is_none() {
            let (authorized, bucket) = self.bucket().await?;
            *opened = Some(Arc::new(Opened { authorized, bucket_id: bucket.bucket_id }));
        }
        let Some(known) = opened.clone() else {
            return Err(StoreError::Garbled { what, why: "no bucket is open".to_owned() });
        };
        drop(opened);
        if what != "b2_copy_file" {
            body["bucketId"] = json!(known.bucket_id);
        }
        let mut tries = 1;
        loop {
            match self.call(&known.authorized, what, &body).await {
                Err(error) if error.is_passing() && tries < TRIES && what != "b2_copy_file" => tries += 1,
                done => return done,
            }
        }
    }
}
