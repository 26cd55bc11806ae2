//! POST, PUT, PATCH, DELETE.

use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Context;
use super::answer::Asked;
use super::body::{self, Answer};
use super::read::stored;
use super::route::Part;
use super::view::View;
use crate::events;
use crate::kind::{Key, Kind};
use crate::meta;
use crate::resources::{
    DeleteOptions, Patch, Preconditions, Propagation, Subresource, WriteOptions, Written,
};
use crate::selector::Selector;
use crate::status::Status;

fn options(asked: &Asked, part: Part) -> Result<WriteOptions, Status> {
    Ok(WriteOptions {
        manager: asked.manager(),
        force: asked.query.is("force"),
        subresource: match part {
            Part::Status => Some(Subresource::Status),
            Part::Scale => Some(Subresource::Scale),
            Part::Whole | Part::Log | Part::Eviction | Part::Finalize => None,
        },
        dry_run: asked.query.dry_run()?,
        validation: asked.query.field_validation()?,
    })
}

fn written(kind: Kind, asked: &Asked, written: &Written) -> Answer {
    let code = if written.created { 201 } else { 200 };
    let view = View::of(&asked.headers, asked.query.get("includeObject"));
    let scale = meta::text(&written.object, "/kind") == Some("Scale");
    let answer = if scale {
        body::answer(code, &written.object)
    } else {
        body::answer(code, &view.object(kind, &written.object, true))
    };
    body::warn(answer, &written.warnings)
}

/// The object of a request, in the place that its path names.
async fn sent(kind: Kind, namespace: Option<&str>, asked: &Asked, body: Incoming) -> Result<Value, Status> {
    let object = body::object(&asked.headers, body).await?;
    let Some(mut object) = object.filter(Value::is_object) else {
        return Err(Status::bad_request(format!("the request's body must be a {} object", kind.name())));
    };
    for (field, wanted) in [("apiVersion", kind.api_version()), ("kind", kind.name().to_owned())] {
        match object.get(field).and_then(Value::as_str) {
            None | Some("") => _ = meta::fields(&mut object).insert(field.to_owned(), Value::from(wanted)),
            Some(sent) if sent == wanted => {}
            Some(sent) => {
                return Err(Status::bad_request(format!(
                    "the {field} in the data ({sent}) does not match the expected {field} ({wanted})"
                )));
            }
        }
    }
    if let Some(namespace) = namespace {
        match meta::namespace(&object) {
            Some(sent) if sent != namespace => {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            _ => meta::set(&mut object, "namespace", Some(Value::from(namespace))),
        }
    }
    Ok(if kind == Kind::EVENT_V1 { events::from_view(&object) } else { object })
}

pub(super) async fn create(
    context: &Context,
    kind: Kind,
    namespace: Option<&str>,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    let object = sent(kind, namespace, asked, body).await?;
    let done = context.resources.create_with(stored(kind), object, &options(asked, Part::Whole)?).await?;
    Ok(written(kind, asked, &done))
}

pub(super) async fn update(
    context: &Context,
    key: &Key,
    part: Part,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    let options = options(asked, part)?;
    if part == Part::Scale {
        let scale = body::object(&asked.headers, body).await?.unwrap_or_default();
        return Ok(written(key.kind, asked, &context.resources.update_scale(key, &scale, &options).await?));
    }
    let object = sent(key.kind, key.namespace.as_deref(), asked, body).await?;
    let name = meta::name(&object);
    if name != key.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    let done = context.resources.update_with(stored(key.kind), object, &options).await?;
    Ok(written(key.kind, asked, &done))
}

pub(super) async fn patch(
    context: &Context,
    key: &Key,
    part: Part,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    let mut options = options(asked, part)?;
    let bytes = body::bytes(body).await?;
    let patch = match body::media_type(&asked.headers) {
        "application/json-patch+json" => Patch::Json(body::json(&bytes)?),
        "application/merge-patch+json" => Patch::Merge(body::json(&bytes)?),
        "application/strategic-merge-patch+json" => Patch::Strategic(body::json(&bytes)?),
        "application/apply-patch+yaml" => Patch::Apply(body::yaml(&bytes)?),
        other => {
            return Err(Status::unsupported_media_type(format!(
                "the body of the request was in an unknown format ({other}) - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, \
                 application/strategic-merge-patch+json, application/apply-patch+yaml"
            )));
        }
    };
    if matches!(patch, Patch::Apply(_)) {
        // The user agent does not do here: an apply must say who applies.
        options.manager = asked.query.get("fieldManager").to_owned();
    }
    if key.kind == Kind::EVENT_V1 {
        return patch_event(context, key, &patch, &options, asked).await;
    }
    let done = context.resources.patch_with(key, &patch, &options).await?;
    Ok(written(key.kind, asked, &done))
}

/// A patch of the other view of an event: of its fields there, stored with those of the core group.
async fn patch_event(
    context: &Context,
    key: &Key,
    patch: &Patch,
    options: &WriteOptions,
    asked: &Asked,
) -> Result<Answer, Status> {
    let key = Key { kind: Kind::EVENT, ..key.clone() };
    let live = context.resources.existing(&key)?;
    let mut view = events::to_view(&live);
    match patch {
        Patch::Merge(patch) | Patch::Strategic(patch) | Patch::Apply(patch) => {
            crate::patch::merge(&mut view, patch);
        }
        Patch::Json(patch) => crate::patch::json(&mut view, patch)?,
    }
    let done = context.resources.update_with(Kind::EVENT, events::from_view(&view), options).await?;
    Ok(written(Kind::EVENT_V1, asked, &done))
}

/// PUT of a namespace's `finalize`: with no finalizer left the namespace goes.
pub(super) async fn finalize(
    context: &Context,
    key: &Key,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    let object = sent(key.kind, None, asked, body).await?;
    if !meta::list(&object, "/spec/finalizers").is_empty() {
        return Err(Status::conflict(
            "namespaces",
            &key.name,
            "spec.finalizers isn't empty: nothing would end its deletion",
        ));
    }
    let object = context.resources.finalize_namespace(&key.name).await?;
    Ok(body::answer(200, &object))
}

/// POST of a pod's `eviction`.
pub(super) async fn evict(
    context: &Context,
    key: &Key,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    let sent = body::object(&asked.headers, body).await?.unwrap_or_default();
    let options = delete_options(asked, sent.get("deleteOptions").unwrap_or(&Value::Null))?;
    context.resources.evict(key, &options).await?;
    let done =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(body::answer(201, &done))
}

fn delete_options(asked: &Asked, sent: &Value) -> Result<DeleteOptions, Status> {
    let text = |pointer: &str| meta::text(sent, pointer).map(str::to_owned);
    let policy =
        text("/propagationPolicy").unwrap_or_else(|| asked.query.get("propagationPolicy").to_owned());
    let orphan =
        sent.get("orphanDependents").and_then(Value::as_bool).unwrap_or(asked.query.is("orphanDependents"));
    let propagation = match policy.as_str() {
        "" if orphan => Some(Propagation::Orphan),
        "" => None,
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        "Orphan" => Some(Propagation::Orphan),
        other => {
            return Err(Status::bad_request(format!(
                "invalid propagationPolicy \"{other}\": supported values: Foreground, Background, Orphan"
            )));
        }
    };
    let grace = match sent.get("gracePeriodSeconds").and_then(Value::as_u64) {
        Some(seconds) => Some(seconds),
        None => asked.query.number("gracePeriodSeconds")?,
    };
    let preconditions = Preconditions {
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
    };
    let dry_run = asked.query.dry_run()? || meta::list(sent, "/dryRun").iter().any(|word| word == "All");
    Ok(DeleteOptions { grace_seconds: grace, propagation, preconditions, dry_run })
}

pub(super) async fn delete(
    context: &Context,
    key: &Key,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    let sent = body::object(&asked.headers, body).await?.unwrap_or_default();
    let options = delete_options(asked, &sent)?;
    let stored = Key { kind: stored(key.kind), ..key.clone() };
    let (object, gone) = context.resources.delete_with(&stored, &options).await?;
    if !gone {
        return Ok(body::answer(200, &object));
    }
    let info = key.kind.info();
    Ok(body::answer(
        200,
        &json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": key.name, "group": info.group, "kind": info.plural, "uid": object["metadata"]["uid"]},
        }),
    ))
}

pub(super) async fn delete_collection(
    context: &Context,
    kind: Kind,
    namespace: Option<&str>,
    asked: &Asked,
    body: Incoming,
) -> Result<Answer, Status> {
    if kind.namespaced() && namespace.is_none() {
        return Err(Status::method_not_allowed("objects of all namespaces can't be deleted at once"));
    }
    let selector = Selector::parse(kind, asked.query.get("labelSelector"), asked.query.get("fieldSelector"))?;
    let sent = body::object(&asked.headers, body).await?.unwrap_or_default();
    let options = delete_options(asked, &sent)?;
    let mut items = Vec::new();
    let objects = context.resources.list(stored(kind), namespace);
    for object in objects.iter().filter(|object| selector.matches(object)) {
        let key = context.resources.key(stored(kind), meta::namespace(object), meta::name(object));
        match context.resources.delete_with(&key, &options).await {
            Ok((object, _)) => items.push(object),
            // Somebody else was quicker.
            Err(status) if status.is_not_found() => {}
            Err(status) => return Err(status),
        }
    }
    let metadata = json!({"resourceVersion": context.resources.store.version().to_string()});
    Ok(body::with_type(200, "application/json", View::Whole.list(kind, &items, &metadata)))
}
