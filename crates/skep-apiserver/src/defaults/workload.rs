//! Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, HorizontalPodAutoscaler.

use serde_json::{Value, json};

use super::pod::pod_spec;
use super::{object, set};
use crate::meta;

fn template(spec: &mut Value) {
    pod_spec(meta::child(meta::child(spec, "template"), "spec"));
}

pub(crate) fn deployment(deployment: &mut Value) {
    let spec = meta::child(deployment, "spec");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    let strategy = meta::child(spec, "strategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = meta::child(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", "25%");
        set(rolling, "maxSurge", "25%");
    }
    template(spec);
}

pub(crate) fn replica_set(set_: &mut Value) {
    let spec = meta::child(set_, "spec");
    set(spec, "replicas", 1);
    template(spec);
}

pub(crate) fn stateful_set(set_: &mut Value) {
    let spec = meta::child(set_, "spec");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "podManagementPolicy", "OrderedReady");
    let retention = meta::child(spec, "persistentVolumeClaimRetentionPolicy");
    set(retention, "whenDeleted", "Retain");
    set(retention, "whenScaled", "Retain");
    let strategy = meta::child(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        set(meta::child(strategy, "rollingUpdate"), "partition", 0);
    }
    for claim in super::items(spec, "volumeClaimTemplates") {
        set(claim, "apiVersion", "v1");
        set(claim, "kind", "PersistentVolumeClaim");
        super::persistent_volume_claim(claim);
    }
    template(spec);
}

pub(crate) fn daemon_set(set_: &mut Value) {
    let spec = meta::child(set_, "spec");
    set(spec, "revisionHistoryLimit", 10);
    let strategy = meta::child(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = meta::child(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", 1);
        set(rolling, "maxSurge", 0);
    }
    template(spec);
}

pub(crate) fn cron_job(cron: &mut Value) {
    let spec = meta::child(cron, "spec");
    set(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
    job_spec(meta::child(meta::child(spec, "jobTemplate"), "spec"));
}

pub(crate) fn job(job: &mut Value) {
    let spec = meta::child(job, "spec");
    job_spec(spec);
    // Only of a new Job: later its template also has the labels that are made up below.
    let labels =
        spec.pointer("/template/metadata/labels").filter(|_| spec.get("selector").is_none()).cloned();
    if let Some(labels) = labels.filter(|_| job.pointer("/metadata/labels").is_none()) {
        set(meta::child(job, "metadata"), "labels", labels);
    }
    if job.pointer("/spec/manualSelector") != Some(&Value::Bool(true)) {
        select_own_pods(job);
    }
}

fn job_spec(spec: &mut Value) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    set(spec, "backoffLimit", 6);
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    let replacement = if spec.get("podFailurePolicy").is_some() { "Failed" } else { "TerminatingOrFailed" };
    set(spec, "podReplacementPolicy", replacement);
    template(spec);
}

/// A Job's pods are told by its uid, unless the user took that upon himself.
fn select_own_pods(job: &mut Value) {
    const UID: &str = "batch.kubernetes.io/controller-uid";
    if job.pointer("/spec/selector").is_some() {
        return;
    }
    let (Some(uid), name) = (meta::uid(job).map(str::to_owned), meta::name(job).to_owned()) else { return };
    let spec = meta::child(job, "spec");
    let labels = meta::child(meta::child(meta::child(spec, "template"), "metadata"), "labels");
    for (key, value) in
        [(UID, &uid), ("controller-uid", &uid), ("batch.kubernetes.io/job-name", &name), ("job-name", &name)]
    {
        set(labels, key, value.as_str());
    }
    set(spec, "selector", json!({"matchLabels": {UID: uid}}));
}

pub(crate) fn horizontal_pod_autoscaler(autoscaler: &mut Value) {
    let spec = meta::child(autoscaler, "spec");
    set(spec, "minReplicas", 1);
    let cpu = json!([{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    set(spec, "metrics", cpu);
    if let Some(behavior) = object(spec, "behavior") {
        for direction in ["scaleUp", "scaleDown"] {
            if let Some(rules) = object(behavior, direction) {
                set(rules, "selectPolicy", "Max");
            }
        }
    }
}
