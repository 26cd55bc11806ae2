//! Uploads: in one request, in one piece after another, or by mounting what another repository has.

use std::sync::Arc;

use axum::{extract::Request, response::Response};
use http::{HeaderName, StatusCode, header};
use skep_model::Digest;

use super::{Answer, CONTENT_DIGEST, Parameters, empty, on_disk, range, refusal::Refusal, target, value};
use crate::{
    Shared,
    names::Repository,
    uploads::{Session, UploadError},
};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

pub(super) async fn begin(
    shared: &Arc<Shared>,
    repository: Repository,
    parameters: &Parameters,
    request: Request,
) -> Answer {
    if let Some(mount) = parameters.get("mount") {
        let digest = target::digest(mount)?;
        if mounted(shared, &repository, digest, parameters.get("from")).await? {
            return created(&repository, &digest);
        }
    }
    let digest = parameters.get("digest").map(target::digest).transpose()?;
    let session = on_disk(shared, move |shared| shared.begin(repository)).await?;
    match digest {
        Some(digest) => complete(shared, &session, digest, request).await,
        None => progress(StatusCode::ACCEPTED, &session),
    }
}

pub(super) fn status(shared: &Arc<Shared>, repository: &Repository, id: &str) -> Answer {
    progress(StatusCode::NO_CONTENT, &*session(shared, repository, id)?)
}

pub(super) async fn append(
    shared: &Arc<Shared>,
    repository: &Repository,
    id: &str,
    request: Request,
) -> Answer {
    let session = session(shared, repository, id)?;
    let range = range::sent(request.headers()).map_err(invalid_range)?;
    match shared.append(&session, request.into_body(), range).await {
        Ok(_) => progress(StatusCode::ACCEPTED, &session),
        Err(error) => Err(refused(error, &session)?),
    }
}

pub(super) async fn finish(
    shared: &Arc<Shared>,
    repository: &Repository,
    id: &str,
    parameters: &Parameters,
    request: Request,
) -> Answer {
    let session = session(shared, repository, id)?;
    let digest = parameters.get("digest").ok_or_else(|| Refusal::digest("?digest= is missing".to_owned()))?;
    complete(shared, &session, target::digest(digest)?, request).await
}

pub(super) fn cancel(shared: &Arc<Shared>, repository: &Repository, id: &str) -> Answer {
    let session = session(shared, repository, id)?;
    shared.uploads.drop_session(session.id);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Appends the body, which may be empty, and gives the whole its name.
async fn complete(shared: &Arc<Shared>, session: &Session, digest: Digest, request: Request) -> Answer {
    let range = range::sent(request.headers()).map_err(invalid_range)?;
    if let Err(error) = shared.append(session, request.into_body(), range).await {
        return Err(refused(error, session)?);
    }
    shared.finish(session, digest).await?;
    created(&session.repository, &digest)
}

/// Whether the blob is in `repository` now. Without `from`, any repository will do.
async fn mounted(
    shared: &Arc<Shared>,
    repository: &Repository,
    digest: Digest,
    from: Option<&str>,
) -> Result<bool, Refusal> {
    let from = match from {
        Some(name) => Some(Repository::parse(name).ok_or_else(|| Refusal::name(name))?),
        None => None,
    };
    let repository = repository.clone();
    let _naming = shared.naming.read().await;
    let linked = on_disk(shared, move |shared| {
        let there = match from {
            Some(from) => shared.has_blob(&from, &digest)?,
            None => crate::layout::touch(&shared.layout.blob(&digest))?,
        };
        if there {
            shared.link_blob(&repository, &digest)?;
        }
        Ok(there)
    });
    linked.await
}

fn session(shared: &Shared, repository: &Repository, id: &str) -> Result<Arc<Session>, Refusal> {
    shared.uploads.get(repository, id).ok_or_else(|| {
        let message =
            format!("{repository} has no upload {id}: it was finished, cancelled or given up; begin again");
        Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", message)
    })
}

fn invalid_range(message: String) -> Refusal {
    Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
}

/// A refusal that says where the upload stands, so that the client can go on from there.
fn refused(error: UploadError, session: &Session) -> Result<Refusal, Refusal> {
    let mut refusal = Refusal::from(error);
    *refusal.headers = progress(StatusCode::ACCEPTED, session)?.headers().clone();
    refusal.headers.remove(header::CONTENT_LENGTH);
    Ok(refusal)
}

fn progress(status: StatusCode, session: &Session) -> Answer {
    let mut response = empty(status);
    let headers = response.headers_mut();
    let location = format!("/v2/{}/blobs/uploads/{}", session.repository, session.id);
    headers.insert(header::LOCATION, value(location)?);
    // Inclusive, and `0-0` for nothing at all: there is no other way to write it.
    headers.insert(header::RANGE, value(format!("0-{}", session.length().saturating_sub(1)))?);
    headers.insert(UPLOAD_ID, value(session.id.to_string())?);
    Ok(response)
}

fn created(repository: &Repository, digest: &Digest) -> Answer {
    let mut response: Response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, value(format!("/v2/{repository}/blobs/{digest}"))?);
    headers.insert(CONTENT_DIGEST, value(digest.to_string())?);
    Ok(response)
}
