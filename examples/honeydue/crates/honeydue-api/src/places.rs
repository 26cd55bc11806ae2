//! Residences.

use axum::{Json, extract::State, http::StatusCode};
use honeydue_model::{NewResidence, Residence};

use crate::{
    error::ApiError,
    extract::{Body, Id, SignedInUser},
    state::{Api, today},
};

/// `GET /api/residences`: a person's residences, by name.
pub(crate) async fn list(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
) -> Result<Json<Vec<Residence>>, ApiError> {
    Ok(Json(api.store.residences(user.id, today()).await?))
}

/// `POST /api/residences`.
pub(crate) async fn create(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Body(new): Body<NewResidence>,
) -> Result<(StatusCode, Json<Residence>), ApiError> {
    new.validate()?;
    Ok((StatusCode::CREATED, Json(api.store.add_residence(user.id, &new).await?)))
}

/// `GET /api/residences/{id}`.
pub(crate) async fn show(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(id): Id,
) -> Result<Json<Residence>, ApiError> {
    let residence = api.store.residence(user.id, id, today()).await?;
    residence.map(Json).ok_or_else(|| ApiError::not_found("residence"))
}

/// `DELETE /api/residences/{id}`: with its tasks.
pub(crate) async fn remove(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    if api.store.delete_residence(user.id, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("residence"))
    }
}
