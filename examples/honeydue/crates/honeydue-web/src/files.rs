//! The pages from which files are sent. The bytes go from the browser to the bucket; what passes through here is who may send what, and
//! what it is for.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use honeydue_model::{Completion, Document, FileLink, NewCompletion, NewDocument, Residence, Task, User};
use honeydue_pages::{ClientError, look};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    shown::{Documents, Done, times},
    state::Web,
};

const SCRIPT: &str = include_str!("../assets/upload.js");

/// `GET /assets/upload.js`.
pub(crate) async fn script() -> Response {
    let kind =
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (kind, SCRIPT).into_response()
}

/// `GET /tasks/{id}/done`: photos of something that was done, and the times that it was done before.
pub(crate) async fn done(State(web): State<Web>, headers: HeaderMap, Path(id): Path<i64>) -> Response {
    let Some(token) = web.token(&headers) else { return Redirect::to("/login").into_response() };
    let token = Some(token.as_str());
    let (task_path, times_path) = (format!("/api/tasks/{id}/"), format!("/api/tasks/{id}/completions/"));
    let asked = tokio::try_join!(
        web.api.get::<User>("/api/me/", token),
        web.api.get::<Task>(&task_path, token),
        web.api.get::<Vec<Completion>>(&times_path, token),
    );
    match asked {
        Ok((user, task, completions)) => {
            let page = Done {
                frame: web.frame(Some(user.name)).await,
                id,
                title: task.title,
                about: task.residence,
                times: times(completions),
                pick: "Photos",
                hint: "JPEG, PNG, WebP or HEIC, up to 10 MB each",
                accept: "image/jpeg,image/png,image/webp,image/heic,image/heif,.heic,.heif",
            };
            look::page_with_files(StatusCode::OK, &page, web.bucket.as_deref())
        }
        Err(error) => web.failed(&error).await,
    }
}

/// `GET /residences/{id}/documents`.
pub(crate) async fn documents(State(web): State<Web>, headers: HeaderMap, Path(id): Path<i64>) -> Response {
    let Some(token) = web.token(&headers) else { return Redirect::to("/login").into_response() };
    let token = Some(token.as_str());
    let (place_path, documents_path) =
        (format!("/api/residences/{id}/"), format!("/api/residences/{id}/documents/"));
    let asked = tokio::try_join!(
        web.api.get::<User>("/api/me/", token),
        web.api.get::<Residence>(&place_path, token),
        web.api.get::<Vec<Document>>(&documents_path, token),
    );
    match asked {
        Ok((user, residence, documents)) => {
            let page = Documents {
                frame: web.frame(Some(user.name)).await,
                id,
                residence: residence.name,
                documents,
                pick: "Pages",
                hint: "PDF or photos, up to 10 MB each",
                accept: "application/pdf,image/jpeg,image/png,image/webp,image/heic,image/heif,.heic,.heif",
            };
            look::page_with_files(StatusCode::OK, &page, web.bucket.as_deref())
        }
        Err(error) => web.failed(&error).await,
    }
}

/// `POST /uploads/presign`, by the page's script.
pub(crate) async fn presign(
    State(web): State<Web>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    pass_on::<_, Value>(&web, &headers, "/api/uploads/presign/", &asked).await
}

/// `POST /uploads/{id}/cancel`, by the page's script.
pub(crate) async fn cancel(State(web): State<Web>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let Some(token) = web.token(&headers) else { return StatusCode::UNAUTHORIZED.into_response() };
    if !is_id(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match web.api.act(Method::DELETE, &format!("/api/uploads/{id}/"), Some(&token)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(ClientError::Refused { status, .. }) => status.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn is_id(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Which uploads, as the page's script says it.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    upload_ids: Vec<String>,
    #[serde(default)]
    title: String,
}

/// `POST /tasks/{id}/done`, by the page's script.
pub(crate) async fn complete(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Json(sent): Json<Sent>,
) -> Response {
    let new = NewCompletion { task_id: id, upload_ids: sent.upload_ids };
    pass_on::<_, Completion>(&web, &headers, "/api/task-completions/", &new).await
}

/// `POST /residences/{id}/documents`, by the page's script.
pub(crate) async fn add_document(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Json(sent): Json<Sent>,
) -> Response {
    let new = NewDocument { residence_id: id, title: sent.title, upload_ids: sent.upload_ids };
    pass_on::<_, Document>(&web, &headers, "/api/documents/", &new).await
}

/// Where one goes back to.
#[derive(Debug, Deserialize)]
pub(crate) struct Back {
    residence: i64,
}

/// `POST /documents/{id}/delete`.
pub(crate) async fn delete_document(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Query(back): Query<Back>,
) -> Response {
    let Some(token) = web.token(&headers) else { return Redirect::to("/login").into_response() };
    match web.api.act(Method::DELETE, &format!("/api/documents/{id}/"), Some(&token)).await {
        Ok(()) => Redirect::to(&format!("/residences/{}/documents", back.residence)).into_response(),
        Err(error) => web.failed(&error).await,
    }
}

/// `GET /files/{id}`: on to where it can be read, for the next minutes.
pub(crate) async fn file(State(web): State<Web>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let Some(token) = web.token(&headers) else { return Redirect::to("/login").into_response() };
    if !is_id(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match web.api.get::<FileLink>(&format!("/api/files/{id}/"), Some(&token)).await {
        Ok(link) => ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&link.url)).into_response(),
        Err(error) => web.failed(&error).await,
    }
}

/// Asks the api as the person whose browser it is, and answers what it answered: the script reads refusals as they are.
async fn pass_on<B: Serialize + Sync, T: DeserializeOwned + Serialize>(
    web: &Web,
    headers: &HeaderMap,
    path: &str,
    body: &B,
) -> Response {
    let token = web.token(headers);
    match web.api.post::<B, T>(path, token.as_deref(), body).await {
        Ok(answer) => (StatusCode::CREATED, Json(answer)).into_response(),
        Err(ClientError::Refused { status, code, message, field }) => {
            (status, Json(json!({ "error": { "code": code, "message": message, "field": field } })))
                .into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the api failed a page's script");
            let message = "We can't be reached right now. Nothing is lost.";
            (StatusCode::BAD_GATEWAY, Json(json!({ "error": { "code": "away", "message": message } })))
                .into_response()
        }
    }
}
