//! One JSON object a line on standard output. `v` is the version of the whole schema.

use serde_json::{Value, json};
use skep_model::Event;

/// The schema's version: raised when a field changes its meaning or goes away.
const VERSION: u32 = 1;

/// Prints one event.
pub(crate) fn print(event: Event) {
    match serde_json::to_value(event) {
        Ok(value) => line(value),
        Err(error) => tracing::error!(%error, "an event could not be written as JSON"),
    }
}

/// Prints any object with the version and the time beside its own fields.
pub(crate) fn line(mut value: Value) {
    if let Value::Object(fields) = &mut value {
        fields.insert("v".to_owned(), json!(VERSION));
        fields.insert("at".to_owned(), json!(format!("{:.3}", jiff::Timestamp::now())));
    }
    crate::terminal::json(&value.to_string());
}
