//! Deployment, ReplicaSet, Job, HorizontalPodAutoscaler.

use serde_json::Value;

use super::{Causes, pod, quoted};
use crate::meta;

pub(crate) fn deployment(deployment: &Value, causes: &mut Causes) {
    replicated(deployment, causes);
    let strategy = &deployment["spec"]["strategy"];
    match meta::text(strategy, "/type").unwrap_or_default() {
        "Recreate" if strategy.get("rollingUpdate").is_some() => causes.forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        "Recreate" => {}
        "RollingUpdate" => rolling(&strategy["rollingUpdate"], causes),
        other => causes.unsupported("spec.strategy.type", other, &["Recreate", "RollingUpdate"]),
    }
    let seconds = |field: &str| meta::number(deployment, &format!("/spec/{field}")).unwrap_or(0);
    let (deadline, ready) = (seconds("progressDeadlineSeconds"), seconds("minReadySeconds"));
    if deadline <= ready {
        causes.invalid("spec.progressDeadlineSeconds", &deadline, "must be greater than minReadySeconds");
    }
    not_negative(deployment, &["minReadySeconds", "revisionHistoryLimit"], causes);
}

pub(crate) fn replica_set(set: &Value, causes: &mut Causes) {
    replicated(set, causes);
    not_negative(set, &["minReadySeconds"], causes);
}

fn replicated(workload: &Value, causes: &mut Causes) {
    not_negative(workload, &["replicas"], causes);
    let selector = &workload["spec"]["selector"];
    let labels = workload.pointer("/spec/template/metadata/labels");
    let nothing = |pointer: &str| match selector.pointer(pointer) {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        _ => true,
    };
    if selector.is_null() {
        causes.required("spec.selector", "");
    } else if nothing("/matchLabels") && nothing("/matchExpressions") {
        causes.invalid("spec.selector", selector, "empty selector is invalid for deployment");
    } else if !selects(selector, labels) {
        let shown = labels.cloned().unwrap_or_else(|| serde_json::json!({}));
        causes.invalid(
            "spec.template.metadata.labels",
            &shown,
            "`selector` does not match template `labels`",
        );
    }
    pod::template(&workload["spec"]["template"], "spec.template", causes);
    let policy = meta::text(workload, "/spec/template/spec/restartPolicy").unwrap_or_default();
    if policy != "Always" {
        causes.unsupported("spec.template.spec.restartPolicy", policy, &["Always"]);
    }
}

fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels?.get(key)?.as_str();
    let exact = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut exact = exact.map(|(key, value)| label(key) == value.as_str());
    exact.all(|matches| matches)
        && meta::list(selector, "/matchExpressions").iter().all(|expression| {
            let value = label(meta::text(expression, "/key").unwrap_or_default());
            let listed = meta::list(expression, "/values").iter().any(|other| other.as_str() == value);
            match meta::text(expression, "/operator") {
                Some("In") => value.is_some() && listed,
                Some("NotIn") => value.is_none() || !listed,
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                _ => false,
            }
        })
}

fn rolling(rolling: &Value, causes: &mut Causes) {
    let zero = |field: &str| matches!(rolling.get(field), Some(value) if *value == 0 || *value == "0%");
    for field in ["maxUnavailable", "maxSurge"] {
        let path = format!("spec.strategy.rollingUpdate.{field}");
        match rolling.get(field) {
            Some(Value::String(text)) => {
                let percent = text.strip_suffix('%').and_then(|number| number.parse::<u32>().ok());
                match percent {
                    None => causes.invalid(path, &quoted(text), "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"),
                    Some(percent) if percent > 100 && field == "maxUnavailable" => {
                        causes.invalid(path, &quoted(text), "must not be greater than 100%");
                    }
                    Some(_) => {}
                }
            }
            Some(Value::Number(number)) if number.as_i64().is_some_and(|number| number < 0) => {
                causes.invalid(path, number, "must be greater than or equal to 0");
            }
            _ => {}
        }
    }
    if zero("maxUnavailable") && zero("maxSurge") {
        causes.invalid(
            "spec.strategy.rollingUpdate.maxUnavailable",
            &rolling["maxUnavailable"],
            "may not be 0 when `maxSurge` is 0",
        );
    }
}

/// Selectors never change: pods would be left behind.
pub(crate) fn selector_unchanged(new: &Value, old: &Value, causes: &mut Causes) {
    causes.immutable("spec.selector", "/spec/selector", new, old);
}

pub(crate) fn job(job: &Value, causes: &mut Causes) {
    not_negative(
        job,
        &["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"],
        causes,
    );
    pod::template(&job["spec"]["template"], "spec.template", causes);
    let policy = meta::text(job, "/spec/template/spec/restartPolicy").unwrap_or_default();
    if !matches!(policy, "OnFailure" | "Never") {
        causes.unsupported("spec.template.spec.restartPolicy", policy, &["OnFailure", "Never"]);
    }
}

pub(crate) fn job_update(new: &Value, old: &Value, causes: &mut Causes) {
    for (field, pointer) in [
        ("spec.completions", "/spec/completions"),
        ("spec.selector", "/spec/selector"),
        ("spec.template", "/spec/template"),
        ("spec.completionMode", "/spec/completionMode"),
        ("spec.podFailurePolicy", "/spec/podFailurePolicy"),
    ] {
        causes.immutable(field, pointer, new, old);
    }
}

pub(crate) fn horizontal_pod_autoscaler(autoscaler: &Value, causes: &mut Causes) {
    let number = |field: &str| meta::number(autoscaler, &format!("/spec/{field}"));
    let (min, max) = (number("minReplicas").unwrap_or(1), number("maxReplicas").unwrap_or(0));
    if min < 1 {
        causes.invalid("spec.minReplicas", &min, "must be greater than or equal to 1");
    }
    if max < 1 {
        causes.invalid("spec.maxReplicas", &max, "must be greater than 0");
    }
    if max < min {
        causes.invalid("spec.maxReplicas", &max, "must be greater than or equal to `minReplicas`");
    }
    for field in ["kind", "name"] {
        let pointer = format!("/spec/scaleTargetRef/{field}");
        if meta::text(autoscaler, &pointer).unwrap_or_default().is_empty() {
            causes.required(format!("spec.scaleTargetRef.{field}"), "");
        }
    }
}

fn not_negative(object: &Value, fields: &[&str], causes: &mut Causes) {
    for field in fields {
        if let Some(number) = meta::number(object, &format!("/spec/{field}")).filter(|number| *number < 0) {
            causes.invalid(format!("spec.{field}"), &number, "must be greater than or equal to 0");
        }
    }
}
