//! Accounts and sessions.

use std::time::Duration;

use axum::{Extension, Json, extract::State, http::StatusCode};
use honeydue_model::{Farewell, Login, Registration, SignedIn, User};
use honeydue_service::client::ClientAddress;

use crate::{
    error::ApiError,
    extract::{BearerToken, Body, SignedInUser},
    state::Api,
};

/// `POST /api/auth/register`: opens an account and a session.
pub(crate) async fn register(
    State(api): State<Api>,
    Extension(client): Extension<ClientAddress>,
    Body(registration): Body<Registration>,
) -> Result<(StatusCode, Json<SignedIn>), ApiError> {
    registration.validate()?;
    api.cache.attempt_registration(&api.sealer, client).await.map_err(too_many_attempts)?;
    let hash = api.passwords.hash(registration.password.clone()).await?;
    let user = api.store.add_user(&registration, &hash).await?;
    Ok((StatusCode::CREATED, Json(sign_in(&api, user).await?)))
}

/// `POST /api/auth/login`: opens a session.
pub(crate) async fn login(
    State(api): State<Api>,
    Extension(client): Extension<ClientAddress>,
    Body(login): Body<Login>,
) -> Result<Json<SignedIn>, ApiError> {
    let attempt = api.cache.attempt_login(&api.sealer, &login.email, client).await;
    let attempt = attempt.map_err(too_many_attempts)?;
    let (user, hash) = api.store.user_by_email(&login.email).await?.unzip();
    let proven = api.passwords.verify(login.password, hash).await?;
    match user.filter(|_| proven) {
        Some(user) => {
            api.cache.forgive(attempt).await;
            Ok(Json(sign_in(&api, user).await?))
        }
        // Which of the two was wrong would tell a stranger who has an account.
        None => {
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "e-mail or password is wrong"))
        }
    }
}

/// `POST /api/auth/logout`: ends the session; ending one that is over is fine.
pub(crate) async fn logout(
    State(api): State<Api>,
    token: Option<BearerToken>,
) -> Result<StatusCode, ApiError> {
    if let Some(BearerToken(token)) = token {
        api.store.close_session(&api.cache, &api.sealer, &token).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/me`: whose session it is.
pub(crate) async fn me(SignedInUser(user): SignedInUser) -> Json<User> {
    Json(user)
}

/// `POST /api/me/delete`: closes the account and ends every session of it, for good, on proof of the password. Files follow; the
/// worker sees to it.
pub(crate) async fn delete_me(
    State(api): State<Api>,
    SignedInUser(user): SignedInUser,
    Extension(client): Extension<ClientAddress>,
    Body(proof): Body<Farewell>,
) -> Result<StatusCode, ApiError> {
    let attempt = api.cache.attempt_login(&api.sealer, &user.email, client).await;
    let attempt = attempt.map_err(too_many_attempts)?;
    let hash = api.store.user_by_email(&user.email).await?.map(|(_, hash)| hash);
    if !api.passwords.verify(proof.password, hash).await? {
        return Err(
            ApiError::new(StatusCode::FORBIDDEN, "wrong_credentials", "the password is wrong").at("password")
        );
    }
    api.cache.forgive(attempt).await;
    api.store.delete_user(&api.cache, user.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn too_many_attempts(wait: Duration) -> ApiError {
    let message = "too many attempts; wait some minutes and try again";
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message).retry_after(wait.as_secs() + 1)
}

async fn sign_in(api: &Api, user: User) -> Result<SignedIn, ApiError> {
    let token = api.store.open_session(&api.cache, &api.sealer, &user).await?;
    Ok(SignedIn { token: token.into_text(), user })
}
