//! Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, HorizontalPodAutoscaler.

use serde_json::Value;

use super::{Causes, pod, quoted};
use crate::meta;
use crate::selector;

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

pub(crate) fn stateful_set(set: &Value, causes: &mut Causes) {
    replicated(set, causes);
    not_negative(set, &["minReadySeconds", "revisionHistoryLimit"], causes);
    let one_of = |field: &str, known: &[&str], causes: &mut Causes| {
        let pointer = format!("/spec/{}", field.replace('.', "/"));
        let found = meta::text(set, &pointer).unwrap_or_default();
        if !known.contains(&found) {
            causes.unsupported(format!("spec.{field}"), found, known);
        }
    };
    one_of("podManagementPolicy", &["OrderedReady", "Parallel"], causes);
    one_of("updateStrategy.type", &["RollingUpdate", "OnDelete"], causes);
    let strategy = &set["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" && strategy.get("rollingUpdate").is_some() {
        let parameters = strategy["rollingUpdate"].to_string();
        let why = "only allowed for updateStrategy 'RollingUpdate'";
        causes.invalid("spec.updateStrategy.rollingUpdate", &parameters, why);
    }
    for (at, claim) in meta::list(set, "/spec/volumeClaimTemplates").iter().enumerate() {
        if meta::name(claim).is_empty() {
            causes.required(format!("spec.volumeClaimTemplates[{at}].metadata.name"), "");
        }
    }
}

/// A StatefulSet's pods have names and volumes: hardly anything of it may change.
pub(crate) fn stateful_set_update(new: &Value, old: &Value, causes: &mut Causes) {
    const MAY_CHANGE: &[&str] = &[
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |set: &Value| {
        let mut spec = set["spec"].clone();
        for field in MAY_CHANGE {
            meta::fields(&mut spec).remove(*field);
        }
        spec
    };
    if fixed(new) != fixed(old) {
        causes.forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
             'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
             'minReadySeconds' are forbidden",
        );
    }
}

pub(crate) fn daemon_set(set: &Value, causes: &mut Causes) {
    templated(set, causes);
    not_negative(set, &["minReadySeconds", "revisionHistoryLimit"], causes);
    let kind = meta::text(set, "/spec/updateStrategy/type").unwrap_or_default();
    if !matches!(kind, "RollingUpdate" | "OnDelete") {
        causes.unsupported("spec.updateStrategy.type", kind, &["RollingUpdate", "OnDelete"]);
    }
    let of = |field: &str| &set["spec"]["updateStrategy"]["rollingUpdate"][field];
    let is_zero = |value: &Value| *value == 0 || *value == "0%";
    if kind == "RollingUpdate" && is_zero(of("maxUnavailable")) && is_zero(of("maxSurge")) {
        causes.required("spec.updateStrategy.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0");
    }
}

pub(crate) fn cron_job(cron: &Value, causes: &mut Causes) {
    let schedule = meta::text(cron, "/spec/schedule").unwrap_or_default();
    if let Err(why) = crate::schedule::parse(schedule) {
        causes.invalid("spec.schedule", &quoted(schedule), &why);
    }
    let zone = meta::text(cron, "/spec/timeZone").unwrap_or_default();
    if !zone.is_empty() && jiff::tz::TimeZone::get(zone).is_err() {
        causes.invalid("spec.timeZone", &quoted(zone), &format!("unknown time zone {zone}"));
    }
    let policy = meta::text(cron, "/spec/concurrencyPolicy").unwrap_or_default();
    if !matches!(policy, "Allow" | "Forbid" | "Replace") {
        causes.unsupported("spec.concurrencyPolicy", policy, &["Allow", "Forbid", "Replace"]);
    }
    not_negative(
        cron,
        &["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"],
        causes,
    );
    pod::template(&cron["spec"]["jobTemplate"]["spec"]["template"], "spec.jobTemplate.spec.template", causes);
    restarts(&cron["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", causes);
}

fn restarts(job: &Value, path: &str, causes: &mut Causes) {
    let policy = meta::text(job, "/template/spec/restartPolicy").unwrap_or_default();
    if !matches!(policy, "OnFailure" | "Never") {
        let field = format!("{path}.template.spec.restartPolicy");
        causes.unsupported(field, policy, &["OnFailure", "Never"]);
    }
}

fn replicated(workload: &Value, causes: &mut Causes) {
    not_negative(workload, &["replicas"], causes);
    templated(workload, causes);
}

fn templated(workload: &Value, causes: &mut Causes) {
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
    } else if !selector::selects(selector, labels) {
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
    restarts(&job["spec"], "spec", causes);
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
