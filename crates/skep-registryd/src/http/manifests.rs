//! Manifests: read, pushed, deleted.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use http::{HeaderName, StatusCode, header};

use super::{Answer, CONTENT_DIGEST, empty, on_disk, refusal::Refusal, value};
use crate::{
    Shared,
    layout::remove_if_present,
    names::{Reference, Repository},
};

/// What the distribution spec asks a registry to take at least.
const LARGEST: usize = 4 * 1024 * 1024;
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// For GET and HEAD: of the latter's response the server sends the head only.
pub(super) async fn read(shared: &Arc<Shared>, repository: Repository, reference: Reference) -> Answer {
    let missing = unknown(&repository, &reference);
    let found =
        on_disk(shared, move |shared| shared.manifest(&repository, &reference)).await?.ok_or(missing)?;
    let mut response = Response::new(Body::from(found.bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, value(found.media_type)?);
    response.headers_mut().insert(header::ETAG, value(format!("\"{}\"", found.digest))?);
    response.headers_mut().insert(CONTENT_DIGEST, value(found.digest.to_string())?);
    Ok(response)
}

pub(super) async fn push(
    shared: &Arc<Shared>,
    repository: Repository,
    reference: Reference,
    request: Request,
) -> Answer {
    let content_type = match request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str()) {
        Some(Ok(text)) => Some(text.to_owned()),
        _ => None,
    };
    let bytes = to_bytes(request.into_body(), LARGEST).await.map_err(|error| {
        let message = format!("the manifest cannot be read, or is larger than {LARGEST} bytes: {error}");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "MANIFEST_INVALID", message)
    })?;
    let naming = shared.naming.read().await;
    let location = format!("/v2/{repository}/manifests/");
    let held = Arc::clone(shared);
    let pushed = tokio::task::spawn_blocking(move || {
        held.push(&repository, &reference, content_type.as_deref(), &bytes)
    });
    let pushed = pushed.await??;
    drop(naming);
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, value(format!("{location}{}", pushed.digest))?);
    headers.insert(CONTENT_DIGEST, value(pushed.digest.to_string())?);
    if let Some(subject) = pushed.subject {
        headers.insert(OCI_SUBJECT, value(subject.to_string())?);
    }
    Ok(response)
}

/// A tag goes alone; a digest takes its tags with it.
pub(super) async fn delete(shared: &Arc<Shared>, repository: Repository, reference: Reference) -> Answer {
    let missing = unknown(&repository, &reference);
    let deleted = on_disk(shared, move |shared| match &reference {
        Reference::Tag(tag) => remove_if_present(&shared.layout.tag(&repository, tag)),
        Reference::Digest(digest) => shared.delete_manifest(&repository, digest),
    });
    if deleted.await? { Ok(empty(StatusCode::ACCEPTED)) } else { Err(missing) }
}

fn unknown(repository: &Repository, reference: &Reference) -> Refusal {
    let message = match reference {
        Reference::Tag(tag) => format!("{repository} has no tag {}", tag.as_str()),
        Reference::Digest(digest) => format!("{repository} has no manifest {digest}"),
    };
    Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
}
