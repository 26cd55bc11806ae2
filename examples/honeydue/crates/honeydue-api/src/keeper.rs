//! What the admin service asks for.

use axum::{Json, extract::State, http::StatusCode};
use honeydue_model::Overview;

use crate::{
    error::ApiError,
    extract::Keeper,
    state::{Api, today},
};

/// `GET /api/keeper/overview`: counts, jobs and their runs.
pub(crate) async fn overview(State(api): State<Api>, _: Keeper) -> Result<Json<Overview>, ApiError> {
    let schema = api
        .store
        .require_schema()
        .await
        .map_err(|error| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "schema", error.to_string()))?;
    Ok(Json(api.store.overview(today(), schema).await?))
}
