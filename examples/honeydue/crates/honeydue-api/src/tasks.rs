//! Tasks, and what the worker has to say about them.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use honeydue_model::{Digest, NewTask, Reminder, Task, Urgency};
use serde::Deserialize;

use crate::{
    error::ApiError,
    extract::{Body, Id, SignedInUser},
    state::{Api, today},
};

/// What `GET /api/tasks` may be narrowed by: `?urgency=overdue`.
#[derive(Deserialize)]
pub(crate) struct Narrowed {
    urgency: Option<Urgency>,
}

/// `GET /api/tasks`: what is left to do everywhere, most pressing first.
pub(crate) async fn list(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    narrowed: Result<Query<Narrowed>, QueryRejection>,
) -> Result<Json<Vec<Task>>, ApiError> {
    let Query(narrowed) =
        narrowed.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "bad_request", error.body_text()))?;
    let mut tasks = api.store.open_tasks(user.id, None, today()).await?;
    tasks.retain(|task| narrowed.urgency.is_none_or(|urgency| task.urgency == urgency));
    Ok(Json(tasks))
}

/// `GET /api/residences/{id}/tasks`: what is left to do there.
pub(crate) async fn list_of_residence(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(residence): Id,
) -> Result<Json<Vec<Task>>, ApiError> {
    let today = today();
    if api.store.residence(user.id, residence, today).await?.is_none() {
        return Err(ApiError::not_found("residence"));
    }
    Ok(Json(api.store.open_tasks(user.id, Some(residence), today).await?))
}

/// `POST /api/residences/{id}/tasks`.
pub(crate) async fn create(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(residence): Id,
    Body(new): Body<NewTask>,
) -> Result<(StatusCode, Json<Task>), ApiError> {
    new.validate()?;
    let task = api.store.add_task(user.id, residence, &new, today()).await?;
    task.map(|task| (StatusCode::CREATED, Json(task))).ok_or_else(|| ApiError::not_found("residence"))
}

/// `GET /api/tasks/{id}`.
pub(crate) async fn show(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(id): Id,
) -> Result<Json<Task>, ApiError> {
    let task = api.store.task(user.id, id, today()).await?;
    task.map(Json).ok_or_else(|| ApiError::not_found("task"))
}

/// `POST /api/tasks/{id}/complete`: it was done today.
pub(crate) async fn complete(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(id): Id,
) -> Result<Json<Task>, ApiError> {
    let task = api.store.complete_task(user.id, id, today()).await?;
    task.map(Json).ok_or_else(|| ApiError::not_found("open task"))
}

/// `DELETE /api/tasks/{id}`.
pub(crate) async fn remove(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    if api.store.delete_task(user.id, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("task"))
    }
}

/// `GET /api/reminders`: what the worker has reminded of.
pub(crate) async fn reminders(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
) -> Result<Json<Vec<Reminder>>, ApiError> {
    Ok(Json(api.store.reminders(user.id).await?))
}

/// `GET /api/digest`: the latest week's, or `null`.
pub(crate) async fn digest(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
) -> Result<Json<Option<Digest>>, ApiError> {
    Ok(Json(api.store.digest(user.id).await?))
}
