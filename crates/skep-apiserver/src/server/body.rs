//! Bodies: reading a request's, making an answer's.

use std::io;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderValue, WARNING};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;

use crate::proto;
use crate::status::Status;

/// What an answer carries.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An answer.
pub(super) type Answer = Response<Body>;

/// The largest request: Kubernetes' own limit is 3 MiB.
const MAX_BYTES: usize = 3 * 1024 * 1024;

/// The media type of a request, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// Reads a body whole.
pub(super) async fn bytes(body: Incoming) -> Result<Bytes, Status> {
    match Limited::new(body, MAX_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Status::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {MAX_BYTES} bytes"),
        )),
        Err(error) => Err(Status::bad_request(format!("the request's body can't be read: {error}"))),
    }
}

/// Reads a body that holds an object. None if it is empty.
pub(super) async fn object(headers: &HeaderMap, body: Incoming) -> Result<Option<Value>, Status> {
    let bytes = bytes(body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    match media_type(headers) {
        "application/vnd.kubernetes.protobuf" => proto::decode(&bytes).map(Some),
        "application/json" | "" => json(&bytes).map(Some),
        "application/yaml" => yaml(&bytes).map(Some),
        other => Err(Status::unsupported_media_type(format!(
            "the body of the request was in an unknown format ({other}) - accepted media types include: application/json"
        ))),
    }
}

/// Reads an applied configuration: YAML by its media type, nearly always JSON in truth.
pub(super) fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let wrong = |why: String| Status::bad_request(format!("error decoding YAML: {why}"));
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    serde_saphyr::from_str(text).map_err(|error| wrong(error.to_string()))
}

/// Reads JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes)
        .map_err(|error| Status::bad_request(format!("the request's body is no JSON: {error}")))
}

/// An answer in JSON.
pub(super) fn answer(code: u16, value: &Value) -> Answer {
    with_type(code, "application/json", value.to_string())
}

/// An answer with a content type.
pub(super) fn with_type(code: u16, content_type: &'static str, body: String) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
    finish(code, content_type, body)
}

/// An answer that goes on.
pub(super) fn streaming(content_type: &'static str, stream: BoxStream<'static, io::Result<Bytes>>) -> Answer {
    finish(200, content_type, StreamBody::new(stream.map(|part| part.map(Frame::data))).boxed_unsync())
}

fn finish(code: u16, content_type: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Tells the client something although it worked.
pub(super) fn warn(mut answer: Answer, warnings: &[String]) -> Answer {
    for warning in warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            answer.headers_mut().append(WARNING, value);
        }
    }
    answer
}

/// What went wrong.
pub(super) fn failure(status: &Status) -> Answer {
    let mut answer = answer(status.code, &status.to_value());
    let seconds = status.details.as_ref().and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = seconds {
        answer.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
