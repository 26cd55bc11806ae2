//! One object, or some: looked at, copied, deleted.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use reqwest::{
    Method, Response,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue},
};
use ring::digest;
use rusty_s3::{
    S3Action as _,
    actions::{DeleteObjectsResponse, ObjectIdentifier},
};

use super::{
    Client, StoreError,
    listing::{ListedVersion, SIGNED_FOR},
    send::{Signed, refused, why},
    xml,
};
use crate::form;

/// The most that one request may delete.
const AT_ONCE: usize = 1000;
/// How long it may take to read an object whole.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// How many objects' versions are asked for at the same time.
const LISTINGS: usize = 16;

/// What was found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// In bytes.
    pub size: u64,
    /// What the store was told that it is.
    pub content_type: String,
    /// Of these very bytes: whoever asks for it by this gets no others.
    pub etag: String,
    /// Its first bytes.
    pub first: Vec<u8>,
}

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// A copy is there now.
    Done,
    /// Others had come under the name.
    Changed,
    /// Nothing is there any more.
    Gone,
}

/// An object that a store kept though it was asked to delete it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDeleted {
    /// Its name.
    pub key: String,
    /// The store's words.
    pub why: String,
}

impl Client {
    /// Looks at an object, and reads its first bytes. `None`: there is none, or only the mark that it was deleted.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn look(&self, key: &str, first: u64) -> Result<Option<Seen>, StoreError> {
        const LOOK: &str = "look";
        let range = format!("bytes=0-{}", first.max(1) - 1);
        let signed = |now: Timestamp| {
            let action = self.bucket.inner.get_object(Some(&self.credentials.inner), key);
            let mut headers = HeaderMap::new();
            headers.extend(HeaderValue::from_str(&range).map(|range| (reqwest::header::RANGE, range)));
            Signed { headers, ..Signed::get(action.sign_with_time(SIGNED_FOR, &now)) }
        };
        let response = self.send(LOOK, signed).await?;
        match response.status().as_u16() {
            404 => return Ok(None),
            // No first byte: the range can't be satisfied.
            416 => {
                let seen =
                    Seen { size: 0, content_type: String::new(), etag: String::new(), first: Vec::new() };
                return Ok(Some(seen));
            }
            200 | 206 => {}
            _ => return Err(self.refusal(LOOK, response).await),
        }
        let text = |name: HeaderName| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        // `bytes 0-4095/123456`; without a range, the whole is what was sent.
        let whole = text(CONTENT_RANGE).rsplit_once('/').map(|(_, whole)| whole.to_owned());
        let size = whole.unwrap_or_else(|| text(CONTENT_LENGTH)).parse().map_err(|_| {
            StoreError::Garbled { what: LOOK, why: "it does not say how large the object is".to_owned() }
        })?;
        let (content_type, etag) = (text(CONTENT_TYPE), text(ETAG));
        let first = beginning(LOOK, response, first).await?;
        Ok(Some(Seen { size, content_type, etag, first }))
    }

    /// The SHA-256 of the bytes that have this ETag; `None` when others are there by now, or none.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn sha256(&self, key: &str, etag: &str) -> Result<Option<[u8; 32]>, StoreError> {
        const READ: &str = "read";
        let signed = |now: Timestamp| {
            let action = self.bucket.inner.get_object(Some(&self.credentials.inner), key);
            let mut headers = HeaderMap::new();
            headers.extend(HeaderValue::from_str(etag).map(|etag| (reqwest::header::IF_MATCH, etag)));
            Signed { headers, ..Signed::get(action.sign_with_time(SIGNED_FOR, &now)) }
        };
        let response = self.send_within(READ, READ_WITHIN, signed).await?;
        match response.status().as_u16() {
            404 | 412 => return Ok(None),
            200 => {}
            _ => return Err(self.refusal(READ, response).await),
        }
        // A store that does not know `if-match` says what it sends all the same.
        if response.headers().get(ETAG).is_none_or(|found| found.as_bytes() != etag.as_bytes()) {
            return Ok(None);
        }
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut bytes = response.bytes_stream();
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|error| StoreError::Unreachable { what: READ, why: why(error) })?;
            hash.update(&piece);
        }
        Ok(hash.finish().as_ref().try_into().ok())
    }

    /// Copies the bytes that have this ETag to another name. What came of it is for the caller to look at: a store may not know the
    /// condition, and one that encrypts by itself gives the copy another ETag.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn copy(&self, from: &str, etag: &str, to: &str) -> Result<Copied, StoreError> {
        const COPY: &str = "copy";
        let source = format!("/{}/{from}", self.bucket.name());
        let named = [("x-amz-copy-source", source.as_str()), ("x-amz-copy-source-if-match", etag)];
        let signed = |now: Timestamp| {
            let mut action = self.bucket.inner.put_object(Some(&self.credentials.inner), to);
            let mut headers = HeaderMap::new();
            for (name, value) in named {
                action.headers_mut().insert(name, value.to_owned());
                headers
                    .extend(HeaderValue::from_str(value).map(|value| (HeaderName::from_static(name), value)));
            }
            let url = action.sign_with_time(SIGNED_FOR, &now);
            Signed { method: Method::PUT, url, headers, body: String::new() }
        };
        let response = self.send(COPY, signed).await?;
        let status = response.status().as_u16();
        let text =
            response.text().await.map_err(|error| StoreError::Unreachable { what: COPY, why: why(error) })?;
        match status {
            404 => return Ok(Copied::Gone),
            412 => return Ok(Copied::Changed),
            _ => {}
        }
        // A copy may fail after its answer has begun: with 200, and a refusal as its document.
        if status != 200 || xml::failure(&text).is_some() {
            return Err(refused(COPY, status, &text));
        }
        Ok(Copied::Done)
    }

    /// Deletes these versions, each of which may be gone already. Answers those that the store kept.
    ///
    /// # Errors
    /// The store's failure; some may be deleted by then.
    pub async fn delete(&self, versions: &[ListedVersion]) -> Result<Vec<NotDeleted>, StoreError> {
        let mut kept = Vec::new();
        for some in versions.chunks(AT_ONCE) {
            kept.extend(self.delete_some(some).await?);
        }
        Ok(kept)
    }

    async fn delete_some(&self, versions: &[ListedVersion]) -> Result<Vec<NotDeleted>, StoreError> {
        const DELETE: &str = "delete";
        let objects: Vec<ObjectIdentifier> = versions
            .iter()
            .map(|one| ObjectIdentifier { key: one.key.clone(), version_id: one.version.clone() })
            .collect();
        let signed = |now: Timestamp| {
            let mut action = self.bucket.inner.delete_objects(Some(&self.credentials.inner), objects.iter());
            action.set_quiet(true);
            let url = action.sign_with_time(SIGNED_FOR, &now);
            let (body, md5) = action.body_with_md5();
            let mut headers = HeaderMap::new();
            headers
                .extend(HeaderValue::from_str(&md5).map(|md5| (HeaderName::from_static("content-md5"), md5)));
            Signed { method: Method::POST, url, headers, body }
        };
        let text = self.text(DELETE, self.send(DELETE, signed).await?).await?;
        let answer = DeleteObjectsResponse::parse(&text)
            .map_err(|error| StoreError::Garbled { what: DELETE, why: error.to_string() })?;
        let is_kept = |code: &str| !matches!(code, "NoSuchKey" | "NoSuchVersion");
        let kept = answer.errors.into_iter().filter(|error| is_kept(&error.code));
        Ok(kept
            .map(|error| NotDeleted { key: error.key, why: format!("{}: {}", error.code, error.message) })
            .collect())
    }

    /// Deletes every version of these objects, and the marks that they were deleted: deleting by name alone only hides the bytes where
    /// there are versions. Answers how many versions went, and what the store kept.
    ///
    /// # Errors
    /// The store's failure; some may be deleted by then.
    pub async fn delete_objects(&self, keys: &[String]) -> Result<(usize, Vec<NotDeleted>), StoreError> {
        let versions = if self.knows_no_versions.load(Ordering::Relaxed) {
            let by_name = |key: &String| ListedVersion {
                key: key.clone(),
                version: None,
                size: 0,
                is_delete_marker: false,
                last_modified: None,
            };
            keys.iter().map(by_name).collect()
        } else {
            let of_each = stream::iter(keys.to_vec())
                .map(|key| async move { self.versions_of(&key).await })
                .buffer_unordered(LISTINGS);
            of_each.try_concat().await?
        };
        let kept = self.delete(&versions).await?;
        Ok((versions.len() - kept.len(), kept))
    }

    async fn versions_of(&self, key: &str) -> Result<Vec<ListedVersion>, StoreError> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = self.versions(key, from.as_ref()).await?;
            // `uploads/1` is the beginning of `uploads/10`.
            all.extend(page.versions.into_iter().filter(|one| one.key == key));
            from = page.next;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// Deletes everything in a folder, every version, page by page. `gone` hears how many versions went with each; answers what the store
    /// kept.
    ///
    /// # Errors
    /// The store's failure; some may be deleted by then.
    ///
    /// # Panics
    /// When `folder` does not end in a slash: it would be the beginning of other names.
    pub async fn delete_folder(
        &self,
        folder: &str,
        mut gone: impl FnMut(usize),
    ) -> Result<Vec<NotDeleted>, StoreError> {
        assert!(folder.len() > 1 && folder.ends_with('/'), "a folder's name ends in a slash: {folder:?}");
        let mut kept = BTreeMap::new();
        let (mut from, mut deleted_before): (_, Option<ListedVersion>) = (None, None);
        loop {
            let page = self.versions(folder, from.as_ref()).await?;
            let mut refused = self.delete(&page.versions).await?;
            if let Some(first) = page.versions.first().filter(|first| deleted_before.as_ref() == Some(first))
            {
                let why = "it is still there after it was deleted".to_owned();
                refused.push(NotDeleted { key: first.key.clone(), why });
            }
            gone(page.versions.len().saturating_sub(refused.len()));
            // What is gone makes room for what comes after it: the same page is looked at again until it is empty, which proves it. What is
            // kept is passed by.
            let again = !page.versions.is_empty() && refused.is_empty();
            kept.extend(refused.into_iter().map(|one| (one.key, one.why)));
            if again {
                deleted_before = page.versions.into_iter().next();
            } else if let Some(next) = page.next {
                from = Some(next);
            } else {
                let kept = kept.into_iter().map(|(key, why)| NotDeleted { key, why });
                return Ok(kept.collect());
            }
        }
    }

    /// Whether the store takes forms. It is asked by one that expired long ago, so nothing comes of it either way.
    ///
    /// # Errors
    /// The store's failure, or an answer that tells neither.
    pub async fn takes_forms(&self) -> Result<bool, StoreError> {
        const ASK: &str = "a form";
        let boundary = "0d9f1c3e5a7b";
        let signed = |now: Timestamp| {
            let expired = now.saturating_sub(jiff::SignedDuration::from_mins(5)).unwrap_or(now);
            let upload = crate::Upload::probe();
            let fields = form::fields(&self.bucket, &self.credentials, &upload, expired, expired);
            let mut body = String::new();
            for (name, value) in &fields {
                body += &format!(
                    "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                );
            }
            body += &format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"probe\"\r\n\r\n \r\n--{boundary}--\r\n"
            );
            let mut headers = HeaderMap::new();
            headers.extend(
                HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"))
                    .map(|kind| (CONTENT_TYPE, kind)),
            );
            Signed { method: Method::POST, url: form::address(&self.bucket), headers, body }
        };
        let response = self.send(ASK, signed).await?;
        match response.status().as_u16() {
            // It has read the policy.
            400 | 403 => Ok(true),
            405 | 501 => Ok(false),
            _ => Err(self.refusal(ASK, response).await),
        }
    }
}

/// The first bytes of an answer, which may bring more than was asked for.
async fn beginning(what: &'static str, response: Response, most: u64) -> Result<Vec<u8>, StoreError> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (mut first, mut bytes) = (Vec::new(), response.bytes_stream());
    while first.len() < most
        && let Some(piece) = bytes.next().await
    {
        first.extend_from_slice(&piece.map_err(|error| StoreError::Unreachable { what, why: why(error) })?);
    }
    first.truncate(most);
    Ok(first)
}
