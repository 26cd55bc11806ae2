//! Reviews: questions about who one is and what one may. There is one user, and he may everything.

use http::Method;
use hyper::body::Incoming;
use serde_json::json;

use super::answer::Asked;
use super::body::{self, Answer};
use crate::status::Status;

pub(super) async fn answer(kind: &str, asked: &Asked, body: Incoming) -> Result<Answer, Status> {
    if asked.method != Method::POST {
        return Err(Status::method_not_allowed("a review is asked with POST"));
    }
    let sent = body::object(&asked.headers, body).await?.unwrap_or_default();
    let (version, status) = match kind {
        "SelfSubjectReview" => (
            "authentication.k8s.io/v1",
            json!({"userInfo": {
            "username": "hive", "groups": ["system:masters", "system:authenticated"]}}),
        ),
        "SelfSubjectRulesReview" => (
            "authorization.k8s.io/v1",
            json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false}),
        ),
        _ => (
            "authorization.k8s.io/v1",
            json!({"allowed": true, "reason": "hive has one user, who may everything"}),
        ),
    };
    let spec = sent.get("spec").cloned().unwrap_or_else(|| json!({}));
    let mut review = json!({"kind": kind, "apiVersion": version, "metadata": {"creationTimestamp": null}, "status": status});
    if kind != "SelfSubjectReview" {
        review["spec"] = spec;
    }
    Ok(body::answer(201, &review))
}
