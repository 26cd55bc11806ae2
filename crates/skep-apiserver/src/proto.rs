//! Protobuf bodies, which kubectl sends for `create deployment` and its like since 1.32.

use serde_json::Value;

use crate::status::Status;

pub(crate) fn decode(_bytes: &[u8]) -> Result<Value, Status> {
    Err(Status::unsupported_media_type(
        "hive reads no protobuf for this kind: use `kubectl create … --dry-run=client -o yaml | kubectl apply -f -`",
    ))
}
