//! Lists: repositories, tags, referrers.

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use skep_model::Digest;

use super::{Answer, Parameters, on_disk, refusal::Refusal, value};
use crate::{Registry, Shared, names::Repository};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(super) async fn catalog(shared: &Arc<Shared>, parameters: Parameters) -> Answer {
    let registry = Registry { shared: Arc::clone(shared) };
    let names = on_disk(shared, move |_| registry.repositories()).await?;
    let (names, next) = page(names, &parameters)?;
    linked(Json(json!({ "repositories": names })).into_response(), "/v2/_catalog", next)
}

pub(super) async fn tags(shared: &Arc<Shared>, repository: Repository, parameters: Parameters) -> Answer {
    let registry = Registry { shared: Arc::clone(shared) };
    let name = repository.as_str().to_owned();
    let found = on_disk(shared, move |_| {
        let known = registry.repositories()?.binary_search(&name).is_ok();
        if known { registry.tags(&name).map(Some) } else { Ok(None) }
    });
    let tags = found.await?.ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("there is no repository {repository}"))
    })?;
    let (tags, next) = page(tags, &parameters)?;
    let path = format!("/v2/{repository}/tags/list");
    linked(Json(json!({ "name": repository.as_str(), "tags": tags })).into_response(), &path, next)
}

/// Not an error when there is no such subject: it may be pushed after its referrers.
pub(super) async fn referrers(
    shared: &Arc<Shared>,
    repository: Repository,
    subject: Digest,
    parameters: Parameters,
) -> Answer {
    let mut found = on_disk(shared, move |shared| shared.referrers(&repository, &subject)).await?;
    let filter = parameters.get("artifactType");
    if let Some(filter) = filter {
        found.retain(|referrer| referrer.artifact_type.as_deref() == Some(filter));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found });
    let mut response = Json(index).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(INDEX));
    if filter.is_some() {
        response.headers_mut().insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}

/// What a page was cut at.
struct Next {
    n: usize,
    last: String,
}

/// The names after `?last=`, at most `?n=` of them.
fn page(mut names: Vec<String>, parameters: &Parameters) -> Result<(Vec<String>, Option<Next>), Refusal> {
    if let Some(last) = parameters.get("last") {
        names.retain(|name| name.as_str() > last);
    }
    let Some(n) = parameters.get("n") else {
        return Ok((names, None));
    };
    let n = n.parse::<usize>().map_err(|_| {
        let message = format!("n is `{n}`, expected a number");
        Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message)
    })?;
    let more = names.len() > n;
    names.truncate(n);
    let next = names.last().filter(|_| more).map(|last| Next { n, last: last.clone() });
    Ok((names, next))
}

/// Says where the next page is (RFC 8288).
fn linked(mut response: Response, path: &str, next: Option<Next>) -> Answer {
    if let Some(Next { n, last }) = next {
        // Names need no escaping but for the slash, which a query may contain.
        let link = format!("<{path}?n={n}&last={last}>; rel=\"next\"");
        response.headers_mut().insert(header::LINK, value(link)?);
    }
    Ok(response)
}
