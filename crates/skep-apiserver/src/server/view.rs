//! In which form a client wants objects: whole, as a table, or only their metadata.

use std::sync::Arc;

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::events;
use crate::kind::Kind;
use crate::table::{self, RowObject};

/// A form of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Whole,
    Metadata,
    Table(RowObject),
}

impl View {
    /// The first form in `Accept` that is served. Everything is JSON: Kubernetes' clients ask for it at least as a
    /// second choice.
    pub(super) fn of(headers: &HeaderMap, include_object: &str) -> Self {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let rows = match include_object {
            "None" => RowObject::Nothing,
            "Object" => RowObject::Whole,
            _ => RowObject::Metadata,
        };
        for range in accept.split(',') {
            let mut words = range.split(';').map(str::trim);
            if !matches!(words.next(), Some("application/json")) {
                continue;
            }
            let wanted = |word: &str| words.clone().any(|other| other == word);
            if !(wanted("v=v1") && wanted("g=meta.k8s.io")) {
                if words.clone().any(|word| word.starts_with("as=")) {
                    continue;
                }
                return Self::Whole;
            }
            if wanted("as=Table") {
                return Self::Table(rows);
            }
            if wanted("as=PartialObjectMetadata") || wanted("as=PartialObjectMetadataList") {
                return Self::Metadata;
            }
        }
        Self::Whole
    }

    /// One object. `first`: a table says what its columns are.
    pub(super) fn object(self, kind: Kind, object: &Arc<Value>, first: bool) -> Value {
        match self {
            Self::Whole if kind == Kind::EVENT_V1 => events::to_view(object),
            Self::Whole => (**object).clone(),
            Self::Metadata => table::partial(object),
            Self::Table(rows) => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                table::table(kind.0.columns, std::slice::from_ref(object), &metadata, first, rows)
            }
        }
    }

    /// A list of objects, as the text that is sent.
    pub(super) fn list(self, kind: Kind, objects: &[Arc<Value>], metadata: &Value) -> String {
        match self {
            Self::Whole if kind == Kind::EVENT_V1 => {
                let items: Value = objects.iter().map(|object| events::to_view(object)).collect();
                list_of("EventList", "events.k8s.io/v1", metadata, &items)
            }
            Self::Whole => {
                // Written as text at once: a list can be most of what is in memory, and is not copied for it.
                let items: Vec<String> = objects.iter().map(|object| item(object)).collect();
                format!(
                    "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[{}]}}",
                    kind.name(),
                    kind.api_version(),
                    items.join(",")
                )
            }
            Self::Metadata => {
                let items: Value = objects.iter().map(|object| table::partial(object)).collect();
                list_of("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, &items)
            }
            Self::Table(rows) => table::table(kind.0.columns, objects, metadata, true, rows).to_string(),
        }
    }
}

/// An item of a list, which leaves `apiVersion` and `kind` to the list: clients that forget that fail on hive too.
fn item(object: &Value) -> String {
    let Value::Object(fields) = object else { return object.to_string() };
    let fields = fields.iter().filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind"));
    let fields: Vec<String> =
        fields.map(|(key, value)| format!("{}:{value}", Value::from(key.as_str()))).collect();
    format!("{{{}}}", fields.join(","))
}

fn list_of(kind: &str, api_version: &str, metadata: &Value, items: &Value) -> String {
    json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items}).to_string()
}
