//! Blobs: read, whole or in part, and taken out of a repository.

use std::{
    io::{Seek, SeekFrom},
    sync::Arc,
};

use axum::{body::Body, response::Response};
use http::{HeaderMap, Method, StatusCode, header};
use skep_model::Digest;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{
    Answer, CONTENT_DIGEST, empty, on_disk,
    range::{Asked, asked},
    refusal::Refusal,
    value,
};
use crate::{Shared, StorageError, names::Repository};

/// What is read from the disk at once.
const PIECE: usize = 256 * 1024;

pub(super) async fn read(
    shared: &Arc<Shared>,
    repository: Repository,
    digest: Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Answer {
    let missing = unknown(&repository, &digest);
    let opened = on_disk(shared, move |shared| {
        if shared.has_blob(&repository, &digest)? { shared.open_blob(&digest).map(Some) } else { Ok(None) }
    });
    let (mut file, size) = opened.await?.ok_or(missing)?;
    let (status, first, length) = match asked(headers, size) {
        Asked::Whole => (StatusCode::OK, 0, size),
        Asked::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Asked::Nothing => {
            let message = format!("{digest} has {size} bytes");
            let mut refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", message);
            refusal.headers.insert(header::CONTENT_RANGE, value(format!("bytes */{size}"))?);
            return Err(refusal);
        }
    };
    let body = if *method == Method::HEAD || length == 0 {
        Body::empty()
    } else {
        if first > 0 {
            let path = shared.layout.blob(&digest);
            file.seek(SeekFrom::Start(first)).map_err(StorageError::at("seek in", &path))?;
        }
        let part = tokio::fs::File::from_std(file).take(length);
        Body::from_stream(ReaderStream::with_capacity(part, PIECE))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, value("application/octet-stream")?);
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::ACCEPT_RANGES, value("bytes")?);
    headers.insert(header::ETAG, value(format!("\"{digest}\""))?);
    headers.insert(CONTENT_DIGEST, value(digest.to_string())?);
    if status == StatusCode::PARTIAL_CONTENT {
        let last = first + length - 1;
        headers.insert(header::CONTENT_RANGE, value(format!("bytes {first}-{last}/{size}"))?);
    }
    Ok(response)
}

pub(super) async fn delete(shared: &Arc<Shared>, repository: Repository, digest: Digest) -> Answer {
    let missing = unknown(&repository, &digest);
    if on_disk(shared, move |shared| shared.unlink_blob(&repository, &digest)).await? {
        Ok(empty(StatusCode::ACCEPTED))
    } else {
        Err(missing)
    }
}

fn unknown(repository: &Repository, digest: &Digest) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("{repository} has no blob {digest}"))
}
