//! What handlers take from a request, refused in the api's own error shape.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use honeydue_model::User;
use honeydue_store::Token;
use serde::de::DeserializeOwned;

use crate::{error::ApiError, state::Api};

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Api) -> Result<Self, ApiError> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::new(rejection.status(), "bad_request", rejection.body_text())),
        }
    }
}

/// The number in the path: `/api/tasks/{id}/`. Anything else is simply not there.
pub(crate) struct Id(pub(crate) i64);

impl FromRequestParts<Api> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Api) -> Result<Self, ApiError> {
        match <Path<i64> as FromRequestParts<Api>>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(ApiError::not_found("thing")),
        }
    }
}

/// Whoever's session the bearer token proves.
pub(crate) struct SignedInUser(pub(crate) User);

impl FromRequestParts<Api> for SignedInUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        Self::of(api, &token).await
    }
}

impl SignedInUser {
    /// Whoever's session a token proves.
    pub(crate) async fn of(api: &Api, token: &Token) -> Result<Self, ApiError> {
        let user = api.store.session_user(&api.cache, &api.sealer, token).await?;
        user.map(Self).ok_or_else(ApiError::unauthorized)
    }
}

/// One of honeyDue's own services, which proves that it holds `SECRET_KEY`.
pub(crate) struct Keeper;

impl FromRequestParts<Api> for Keeper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        match bearer(&parts.headers) {
            Some(token) if api.sealer.is_keeper(token.as_text()) => Ok(Self),
            Some(_) => {
                Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", "this token is not the keeper's"))
            }
            None => Err(ApiError::unauthorized()),
        }
    }
}

/// The bearer token as the client sent it.
pub(crate) struct BearerToken(pub(crate) Token);

impl OptionalFromRequestParts<Api> for BearerToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Option<Self>, ApiError> {
        Ok(bearer(&parts.headers).map(Self))
    }
}

/// Returns the bearer token. Text that isn't a token counts as none, so it is neither sealed nor looked up.
fn bearer(headers: &HeaderMap) -> Option<Token> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim()))?
}
