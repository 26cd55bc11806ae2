//! JSON patch and merge patch; the strategic one has a file of its own. Server-side apply is in [`crate::managed`].

mod strategic;

use serde_json::Value;

use crate::status::Status;
pub(crate) use strategic::strategic;

/// RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    json_patch::merge(target, patch);
}

/// RFC 6902.
///
/// # Errors
/// 400 when the patch isn't one, 422 when an operation does not fit the object.
pub(crate) fn json(target: &mut Value, patch: &Value) -> Result<(), Status> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Status::bad_request(format!("the JSON patch can't be read: {error}")))?;
    json_patch::patch(target, &operations).map_err(|error| {
        Status::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {error}"),
        )
    })
}
