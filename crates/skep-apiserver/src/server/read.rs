//! GET: one object, or a list of them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Context;
use super::answer::Asked;
use super::body::{self, Answer};
use super::route::Part;
use super::view::View;
use crate::kind::{Key, Kind};
use crate::meta;
use crate::resources::scale_of;
use crate::selector::Selector;
use crate::status::Status;

/// Where a kind's objects are stored: `events.k8s.io` shows the core group's events.
pub(super) fn stored(kind: Kind) -> Kind {
    if kind == Kind::EVENT_V1 { Kind::EVENT } else { kind }
}

pub(super) fn get(context: &Context, key: &Key, part: Part, asked: &Asked) -> Result<Answer, Status> {
    let stored = Key { kind: stored(key.kind), ..key.clone() };
    let object = context.resources.existing(&stored)?;
    if part == Part::Scale {
        return Ok(body::answer(200, &scale_of(&object)));
    }
    let view = View::of(&asked.headers, asked.query.get("includeObject"));
    Ok(body::answer(200, &view.object(key.kind, &object, true)))
}

pub(super) fn list(
    context: &Context,
    kind: Kind,
    namespace: Option<&str>,
    asked: &Asked,
) -> Result<Answer, Status> {
    let query = &asked.query;
    let selector = Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let limit =
        query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let page = Page::parse(query.get("continue"))?;
    let store = &context.resources.store;
    let exact =
        (query.get("resourceVersionMatch") == "Exact").then(|| query.version()).transpose()?.flatten();
    let (objects, version) = match page.as_ref().map(|page| page.version).or(exact) {
        Some(version) => (
            store.list_at(stored(kind), namespace, version).map_err(|oldest| expired(version, oldest))?,
            version,
        ),
        None => {
            if let Some(wanted) = query.version()?.filter(|wanted| *wanted > store.version()) {
                let message = format!("Too large resource version: {wanted}, current: {}", store.version());
                return Err(Status::new(504, "Timeout", message).retry_after(1));
            }
            store.list(stored(kind), namespace)
        }
    };
    let mut objects: Vec<Arc<Value>> =
        objects.into_iter().filter(|object| selector.matches(object)).collect();
    if let Some(page) = page {
        let start = objects.partition_point(|object| place(object) <= page.last);
        objects.drain(..start);
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some(limit) = limit.filter(|limit| *limit < objects.len()) {
        let rest = objects.len() - limit;
        objects.truncate(limit);
        let last = objects.last().map(|object| place(object)).unwrap_or_default();
        metadata["continue"] = Value::from(Page { version, last }.token());
        if selector.is_everything() {
            metadata["remainingItemCount"] = Value::from(rest);
        }
    }
    let view = View::of(&asked.headers, query.get("includeObject"));
    Ok(body::with_type(200, "application/json", view.list(kind, &objects, &metadata)))
}

fn expired(asked: u64, oldest: u64) -> Status {
    let mut status = Status::expired(asked, oldest);
    status.message = format!(
        "The provided continue parameter is too old to display a consistent list result: {}. You can start a new list \
         without the continue parameter.",
        status.message
    );
    status
}

/// Namespace and name: the order of lists.
fn place(object: &Value) -> (String, String) {
    (meta::namespace(object).unwrap_or_default().to_owned(), meta::name(object).to_owned())
}

/// Where a list goes on: after this object, as things were at this version.
struct Page {
    version: u64,
    last: (String, String),
}

impl Page {
    fn token(&self) -> String {
        let (namespace, name) = &self.last;
        URL_SAFE_NO_PAD.encode(json!([self.version, namespace, name]).to_string())
    }

    fn parse(token: &str) -> Result<Option<Self>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let parts: Option<(u64, String, String)> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let (version, namespace, name) = parts.ok_or_else(|| {
            Status::bad_request("continue key is not valid: it was not made by this server")
        })?;
        Ok(Some(Self { version, last: (namespace, name) }))
    }
}
