//! Waves, the migration between them, and who scales what.

use std::time::Duration;

use serde_json::{Value, json};
use skep_manifest::{Wave, autoscaled, hold_replicas, inventory, migration_job, stage_and_apply, waves};

use crate::files::{objects, value, values};

const APP: &str = "
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: api}, spec: {template: {metadata: {labels: {app: api}}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: postgres}, spec: {serviceName: postgres-headless, template: {metadata: {labels: {app: postgres, tier: data}}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: postgres}, spec: {selector: {app: postgres}}}
---
{apiVersion: v1, kind: Service, metadata: {name: postgres-headless}, spec: {clusterIP: None}}
---
{apiVersion: v1, kind: Service, metadata: {name: api}, spec: {selector: {app: api}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: honeydue}}
---
{apiVersion: traefik.io/v1alpha1, kind: Middleware, metadata: {name: strip}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: api, namespace: honeydue}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}, minReplicas: 3, maxReplicas: 6}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: api}}
";

fn shown(waves: &[(Wave, Vec<Value>)]) -> Vec<String> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let wave = |(wave, objects): &(Wave, Vec<Value>)| {
        format!("{wave:?}: {}", objects.iter().map(name).collect::<Vec<_>>().join(" "))
    };
    waves.iter().map(wave).collect()
}

#[test]
fn waves_in_order() {
    assert_eq!(
        shown(&waves(values(APP))),
        [
            "Namespace: honeydue",
            "Access: api",
            "Storage: data",
            "Config: c",
            "Network: postgres postgres-headless api",
            "Custom: strip",
            "Workloads: api postgres",
            "Traffic: web api",
        ]
    );
}

#[test]
fn the_migration_parts_them() {
    let staged = stage_and_apply(values(APP), &["postgres".to_owned(), "redis".to_owned()]);
    assert_eq!(
        shown(&staged.stage),
        [
            "Namespace: honeydue",
            "Access: api",
            "Storage: data",
            "Config: c",
            "Network: postgres postgres-headless",
            "Workloads: postgres",
        ]
    );
    assert_eq!(shown(&staged.apply), ["Network: api", "Custom: strip", "Workloads: api", "Traffic: web api"]);
    assert_eq!(staged.unknown, ["redis"]);
}

#[test]
fn the_job_of_the_gate() {
    let text = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: honeydue-migrate}\nspec:\n  backoffLimit: 3\n  \
                ttlSecondsAfterFinished: 60\n  template:\n    spec:\n      containers: [{name: migrate, image: api}]\n";
    let jobs = objects(text);
    let job = migration_job(&jobs[0], Duration::from_secs(300)).expect("a Job");
    let name = job["metadata"]["name"].as_str().expect("named");
    assert!(name.starts_with("honeydue-migrate-") && name.len() == "honeydue-migrate-".len() + 8, "{name}");
    assert_eq!(
        job["spec"],
        json!({
            "backoffLimit": 0, "activeDeadlineSeconds": 300,
            "template": {"spec": {"containers": [{"name": "migrate", "image": "api"}], "restartPolicy": "Never"}},
        })
    );
    let name_of = |text: &str, seconds| {
        migration_job(&objects(text)[0], Duration::from_secs(seconds)).expect("a Job")["metadata"]["name"]
            .clone()
    };
    assert_eq!(name_of(text, 10), json!(name), "patience is no part of the migration");
    assert_ne!(name_of(&text.replace("image: api", "image: api2"), 300), json!(name));
    let long = text.replace("honeydue-migrate", &"m".repeat(80));
    assert_eq!(name_of(&long, 300).as_str().map(str::len), Some(63));
}

#[test]
fn who_scales_what() {
    let scaled = autoscaled(&values(APP));
    assert_eq!(scaled.len(), 1);
    assert_eq!(
        (scaled[0].workload.to_string().as_str(), scaled[0].min, scaled[0].max),
        ("Deployment/api", 3, 6)
    );
    assert_eq!(scaled[0].workload.namespace.as_deref(), Some("honeydue"));
    let bare = value(
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {maxReplicas: 2, scaleTargetRef: {kind: Deployment, name: a}}}",
    );
    assert_eq!(autoscaled([&bare])[0].min, 1);
}

#[test]
fn replicas_are_held_until_the_autoscaler_has_them() {
    let scaled = &autoscaled(&values(APP))[0];
    let desired = || json!({"kind": "Deployment", "spec": {"replicas": 1, "paused": false}});
    let live = |manager: &str, fields: Value| {
        json!({
            "metadata": {"managedFields": [{"manager": manager, "fieldsV1": fields}]},
            "spec": {"replicas": 5},
        })
    };
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    for (live, held) in [
        (None, json!(3)),
        (Some(live("skep", replicas.clone())), json!(5)),
        (Some(live("kube-controller-manager", json!({"f:status": {}}))), json!(5)),
        (Some(live("kube-controller-manager", replicas)), json!(null)),
    ] {
        let mut workload = desired();
        hold_replicas(&mut workload, live.as_ref(), scaled, "skep");
        assert_eq!(workload["spec"]["replicas"], held, "{live:?}");
    }
}

#[test]
fn the_inventory_is_sorted_and_each_once() {
    let mut all = values(APP);
    all.extend(values(APP));
    let keys = inventory(&all);
    assert_eq!(keys.len(), 12);
    assert!(keys.is_sorted());
}
