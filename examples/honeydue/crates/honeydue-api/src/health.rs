//! Is it alive, may it get traffic, and what is it?

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use honeydue_service::Release;
use serde::Serialize;
use serde_json::{Value, json};

use crate::state::Api;

/// Shorter than a readiness probe's timeout, so that the answer says which part is late.
const CHECK_WITHIN: Duration = Duration::from_millis(1500);

/// Liveness: the process answers. It asks nobody else, because a restart would not heal a database.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// What readiness found.
#[derive(Serialize)]
pub(crate) struct Readiness {
    status: &'static str,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    database: Check,
    cache: Check,
    schema: Check,
    serving: Check,
}

/// `"ok"`, or why not.
#[derive(Serialize)]
#[serde(transparent)]
struct Check(String);

impl Check {
    fn of<T, E: std::fmt::Display>(outcome: Result<Result<T, E>, tokio::time::error::Elapsed>) -> Self {
        match outcome {
            Ok(Ok(_)) => Self::ok(),
            Ok(Err(error)) => Self(error.to_string()),
            Err(_) => Self(format!("no answer within {} ms", CHECK_WITHIN.as_millis())),
        }
    }

    fn ok() -> Self {
        Self("ok".to_owned())
    }

    fn passed(&self) -> bool {
        self.0 == "ok"
    }
}

/// Readiness: database, cache and schema answer, and the process is not leaving. 503 names what does not.
pub(crate) async fn ready(State(api): State<Api>) -> (StatusCode, Json<Readiness>) {
    let (database, cache, schema) = tokio::join!(
        tokio::time::timeout(CHECK_WITHIN, api.store.ping()),
        tokio::time::timeout(CHECK_WITHIN, api.cache.ping()),
        tokio::time::timeout(CHECK_WITHIN, api.store.require_schema()),
    );
    let checks = Checks {
        database: Check::of(database),
        cache: Check::of(cache),
        schema: Check::of(schema),
        serving: if api.drain.has_begun() { Check("draining".to_owned()) } else { Check::ok() },
    };
    let ready =
        [&checks.database, &checks.cache, &checks.schema, &checks.serving].into_iter().all(Check::passed);
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (code, Json(Readiness { status, checks }))
}

/// Which release answers, without its pod, which only the metrics port shows.
pub(crate) async fn version(State(api): State<Api>) -> Json<Release> {
    Json(api.release.public())
}
