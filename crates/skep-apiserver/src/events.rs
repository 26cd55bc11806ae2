//! `events.k8s.io/v1`: the same events as the core group's, with other field names.

use serde_json::{Map, Value, json};

use crate::meta;

/// Core name, `events.k8s.io` name.
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// A core event as `events.k8s.io/v1` shows it.
pub(crate) fn to_view(event: &Value) -> Value {
    let mut view = renamed(event, |name| NAMES.iter().find(|(core, _)| *core == name).map(|(_, view)| *view));
    view["apiVersion"] = Value::from("events.k8s.io/v1");
    if view.get("eventTime").is_none() {
        view["eventTime"] = Value::Null;
    }
    view
}

/// An `events.k8s.io/v1` event as it is stored.
pub(crate) fn from_view(view: &Value) -> Value {
    let mut event = renamed(view, |name| NAMES.iter().find(|(_, view)| *view == name).map(|(core, _)| *core));
    event["apiVersion"] = Value::from("v1");
    if event.get("involvedObject").is_none() {
        event["involvedObject"] = json!({"namespace": meta::namespace(view)});
    }
    event
}

fn renamed(object: &Value, other: impl Fn(&str) -> Option<&'static str>) -> Value {
    let fields = object.as_object().into_iter().flatten();
    let named = fields.map(|(name, value)| (other(name).unwrap_or(name).to_owned(), value.clone()));
    Value::Object(named.collect::<Map<String, Value>>())
}
