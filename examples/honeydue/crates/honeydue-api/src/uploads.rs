//! Files: presigned here, sent by the client straight to the bucket, and attached here to what they are for.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use honeydue_files::{
    Storage,
    attach::{AttachError, Wrong, attach},
};
use honeydue_model::{
    Completion, Document, FileLink, Invalid, NewCompletion, NewDocument, NotWanted, UploadRequest, User,
    WantedUpload,
    uploads::{HOURLY_UPLOADS, LARGEST_FILE, MOST_UPLOADS},
};
use honeydue_store::{
    Counted, Limit, RedisError,
    uploads::{Attached, NotAttached, Opened, Target},
};
use jiff::Timestamp;
use serde::Serialize;
use skep_storage::Presigned;
use uuid::Uuid;

use crate::{
    error::ApiError,
    extract::{BearerToken, Body, Id, SignedInUser},
    state::{Api, today},
};

/// What a client gets: where to send its bytes, with what, and until when.
#[derive(Serialize)]
pub(crate) struct PresignedUpload {
    upload_id: Uuid,
    #[serde(flatten)]
    how: Presigned,
    expires_at: Timestamp,
}

/// `POST /api/uploads/presign`. One round trip to Redis, which knows the session and counts, and one to Postgres.
pub(crate) async fn presign(
    State(api): State<Api>,
    token: Option<BearerToken>,
    body: Result<Body<UploadRequest>, ApiError>,
) -> Result<(StatusCode, Json<PresignedUpload>), ApiError> {
    let BearerToken(token) = token.ok_or_else(ApiError::unauthorized)?;
    let (storage, wanted) = match asked(&api, body) {
        Ok(asked) => asked,
        // Who is not signed in is told that, whatever they ask.
        Err(refused) => return SignedInUser::of(&api, &token).await.and(Err(refused)),
    };
    let place = api.store.session_place(&api.cache, &api.sealer, &token, Limit::Presigns).await?;
    let (user, place) = place.ok_or_else(ApiError::unauthorized)?;
    let place = match place.map_err(|error| uncounted(&error))? {
        Counted::Taken(place) => place,
        Counted::None(wait) => {
            let message = format!("{HOURLY_UPLOADS} uploads an hour are the most; try again later");
            let refused = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_presigns", message);
            return Err(refused.retry_after(wait.as_secs() + 1));
        }
    };
    let id = Uuid::new_v4();
    let opened = match api.store.open_upload(user.id, id, &wanted).await {
        Ok(Opened::Opened) => storage.presign(user.id, id, &wanted, Timestamp::now()).map_err(|error| {
            tracing::error!(%error, "an upload that was opened can't be signed");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
        }),
        Ok(Opened::Full) => {
            let message = format!(
                "{MOST_UPLOADS} uploads may wait to be attached; attach them, or wait until they expire"
            );
            // It stays counted: asking is what the limit is for.
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", message));
        }
        Ok(Opened::Nobody) => Err(ApiError::unauthorized()),
        Err(error) => Err(error.into()),
    };
    match opened {
        Ok((how, expires_at)) => {
            Ok((StatusCode::CREATED, Json(PresignedUpload { upload_id: id, how, expires_at })))
        }
        Err(error) => {
            api.cache.give_back(Limit::Presigns, user.id, &place).await;
            Err(error)
        }
    }
}

/// What is to be signed, and by what.
fn asked(
    api: &Api,
    body: Result<Body<UploadRequest>, ApiError>,
) -> Result<(&Storage, WantedUpload), ApiError> {
    let storage = storage(api)?;
    let Body(request) = body?;
    Ok((storage, request.check().map_err(not_wanted)?))
}

fn not_wanted(why: NotWanted) -> ApiError {
    let (code, field, message) = match why {
        NotWanted::Category => {
            ("unknown_category", "category", "a file is for a `task_completion` or a `document`".to_owned())
        }
        NotWanted::ContentType => (
            "type_not_allowed",
            "content_type",
            "this kind of file is not taken: send a JPEG, PNG, WebP, HEIC or HEIF picture; a document may also be a PDF"
                .to_owned(),
        ),
        NotWanted::ContentLength => (
            "size_not_allowed",
            "content_length",
            format!("a file has 1 byte to {} MB", LARGEST_FILE / 1_000_000),
        ),
        NotWanted::Sha256 => {
            ("bad_checksum", "sha256", "a SHA-256 has 64 hexadecimal digits in small letters".to_owned())
        }
    };
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).at(field)
}

/// `POST /api/task-completions`: a task was done today, with photos of it.
pub(crate) async fn complete(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Body(new): Body<NewCompletion>,
) -> Result<(StatusCode, Json<Completion>), ApiError> {
    let ids = ids(&new.upload_ids)?;
    match attach_all(&api, &user, Target::Completion(new, today()), ids).await? {
        Attached::Completion(completion) => Ok((StatusCode::CREATED, Json(completion))),
        Attached::Document(_) => Err(ApiError::not_found("completion")),
    }
}

/// `POST /api/documents`: papers of a residence.
pub(crate) async fn add_document(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Body(new): Body<NewDocument>,
) -> Result<(StatusCode, Json<Document>), ApiError> {
    new.validate()?;
    let ids = ids(&new.upload_ids)?;
    match attach_all(&api, &user, Target::Document(new), ids).await? {
        Attached::Document(document) => Ok((StatusCode::CREATED, Json(document))),
        Attached::Completion(_) => Err(ApiError::not_found("document")),
    }
}

/// `GET /api/tasks/{id}/completions`: the times it was done, the latest first.
pub(crate) async fn completions(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(task): Id,
) -> Result<Json<Vec<Completion>>, ApiError> {
    Ok(Json(api.store.completions(user.id, task).await?))
}

/// `GET /api/residences/{id}/documents`: by title.
pub(crate) async fn documents(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(residence): Id,
) -> Result<Json<Vec<Document>>, ApiError> {
    Ok(Json(api.store.documents(user.id, residence).await?))
}

/// `DELETE /api/documents/{id}`: its files follow within the hour.
pub(crate) async fn remove_document(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    if api.store.delete_document(user.id, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("document"))
    }
}

/// `DELETE /api/uploads/{id}`: the client thinks better of it.
pub(crate) async fn cancel(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::not_found("upload"))?;
    match api.store.cancel_upload(user.id, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("upload that waits")),
    }
}

/// `GET /api/files/{id}`: where the file can be read for the next minutes.
pub(crate) async fn link(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Path(id): Path<String>,
) -> Result<Json<FileLink>, ApiError> {
    let storage = storage(&api)?;
    let id: Uuid = id.parse().map_err(|_| ApiError::not_found("file"))?;
    let file = api.store.file(user.id, id).await?.ok_or_else(|| ApiError::not_found("file"))?;
    let (url, expires_at) = storage.link(user.id, &file, Timestamp::now());
    Ok(Json(FileLink { url: url.into(), expires_at }))
}

/// Attaches to the end even when the client hangs up: then it finds its answer when it asks again.
async fn attach_all(
    api: &Api,
    user: &User,
    target: Target,
    ids: BTreeSet<Uuid>,
) -> Result<Attached, ApiError> {
    if ids.is_empty() {
        return Ok(api.store.attach_uploads(user.id, &target, None, &[]).await.map_err(AttachError::Rows)?);
    }
    let storage = storage(api)?.clone();
    let place = api.cache.take(Limit::Attaches, user.id).await.map_err(|error| uncounted(&error))?;
    if let Counted::None(wait) = place {
        let message = "too many tries to attach files within the hour; try again later";
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attaches", message)
            .retry_after(wait.as_secs() + 1));
    }
    let (store, user) = (api.store.clone(), user.id);
    let attached = tokio::spawn(async move { attach(&store, &storage, user, &target, &ids).await });
    match attached.await {
        Ok(attached) => Ok(attached?),
        Err(error) => {
            tracing::error!(%error, "attaching ended badly");
            Err(ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "something went wrong on our side",
            ))
        }
    }
}

/// Without Redis nobody has a place: the limit is what keeps a stranger from filling the bucket.
fn uncounted(error: &RedisError) -> ApiError {
    tracing::warn!(%error, "uploads can't be counted, so none is opened or attached");
    let message = "files can't be taken right now; try again in a moment";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "limits_unavailable", message).retry_after(5)
}

fn storage(api: &Api) -> Result<&Storage, ApiError> {
    api.storage.as_ref().ok_or_else(|| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "uploads_off",
            "this honeyDue keeps no files: it has no bucket",
        )
    })
}

fn ids(texts: &[String]) -> Result<BTreeSet<Uuid>, ApiError> {
    let wrong = |message| ApiError::from(Invalid { field: "upload_ids", message });
    if texts.len() > MOST_UPLOADS {
        return Err(wrong("at most 10 uploads are attached at once"));
    }
    let ids: Result<BTreeSet<Uuid>, _> = texts.iter().map(|text| text.parse()).collect();
    let ids = ids.map_err(|_| wrong("an upload's id is the one that its presigning answered"))?;
    if ids.len() < texts.len() {
        return Err(wrong("an upload is attached once: one of these is there twice"));
    }
    Ok(ids)
}

impl From<AttachError> for ApiError {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Rows(NotAttached::Store(error)) => error.into(),
            AttachError::Rows(error) => rows(&error).at("upload_ids"),
            AttachError::Sent { wrong, .. } => {
                let (status, code) = match wrong {
                    Wrong::Missing => (StatusCode::CONFLICT, "not_uploaded"),
                    Wrong::Changed => (StatusCode::CONFLICT, "upload_changed"),
                    Wrong::Size => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_size"),
                    Wrong::ContentType => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_type"),
                    Wrong::Content => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_content"),
                    Wrong::Checksum => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_checksum"),
                };
                Self::new(status, code, error.to_string()).at("upload_ids")
            }
            AttachError::Storage(error) => {
                tracing::warn!(%error, "uploads can't be attached now");
                let message =
                    "the files can't be looked at right now; nothing has changed, so send this again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", message).retry_after(5)
            }
        }
    }
}

fn rows(error: &NotAttached) -> ApiError {
    let text = error.to_string();
    match error {
        NotAttached::Unknown(_) => ApiError::new(StatusCode::NOT_FOUND, "unknown_upload", text),
        NotAttached::Category(_) => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_category", text),
        NotAttached::Expired(_) => ApiError::new(StatusCode::GONE, "upload_expired", text),
        NotAttached::InHand(_) => ApiError::new(StatusCode::CONFLICT, "upload_in_hand", text).retry_after(1),
        NotAttached::Taken(_) => ApiError::new(StatusCode::CONFLICT, "upload_taken", text),
        NotAttached::NoTarget => ApiError::not_found("thing to attach to"),
        NotAttached::Nobody => ApiError::unauthorized(),
        NotAttached::Lost | NotAttached::Store(_) => {
            let message = "this took too long; nothing has changed, so send it again";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "claim_lost", message).retry_after(1)
        }
    }
}
