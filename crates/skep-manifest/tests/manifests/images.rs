//! Images: found, told apart, pinned.

use std::collections::BTreeMap;

use serde_json::json;
use skep_manifest::{Owner, image_uses, owner, pin};

use crate::files::objects;

const MANIFESTS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      initContainers:
      - name: wait
        image: busybox:1.36
      containers:
      - name: api
        image: api
      - {name: agent, image: 'registry.example.com/admin/honeydue-api:IMAGE_TAG'}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: run, image: worker}]}}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec: {ephemeralContainers: [{name: sh, image: alpine}], containers: []}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: no-pod}
spec: {template: {spec: {containers: [{name: x, image: not-one}]}}}
";

#[test]
fn every_container_with_its_line() {
    let uses = image_uses(&objects(MANIFESTS));
    let shown: Vec<String> = uses
        .iter()
        .map(|one| format!("{} {} {} {}", one.object, one.container, one.text, one.place))
        .collect();
    assert_eq!(
        shown,
        [
            "Deployment/api wait busybox:1.36 deploy/api.yaml:10",
            "Deployment/api api api deploy/api.yaml:13",
            "Deployment/api agent registry.example.com/admin/honeydue-api:IMAGE_TAG deploy/api.yaml:14",
            "CronJob/nightly run worker deploy/api.yaml:19",
            "Pod/probe sh alpine deploy/api.yaml:24",
        ]
    );
}

#[test]
fn whose() {
    let ours = BTreeMap::from([
        ("api".to_owned(), "localhost:5000/honeydue-api".to_owned()),
        ("redis".to_owned(), "localhost:5000/honeydue-redis".to_owned()),
    ]);
    for (text, whose) in [
        ("api", Owner::Ours("api".to_owned())),
        ("localhost:5000/honeydue-api", Owner::Ours("api".to_owned())),
        ("localhost:5000/honeydue-api:v1", Owner::Ours("api".to_owned())),
        ("localhost:5000/honeydue-api@sha256:00", Owner::Ours("api".to_owned())),
        ("localhost:5000/honeydue-api:v1@sha256:00", Owner::Ours("api".to_owned())),
        ("localhost:5000/honeydue-api-extra", Owner::ThirdParty),
        ("redis:7-alpine", Owner::ThirdParty),
        ("apu", Owner::Unclear),
        ("grafana/agent", Owner::ThirdParty),
    ] {
        assert_eq!(owner(text, &ours), whose, "{text}");
    }
}

#[test]
fn pinning_changes_images_and_nothing_else() {
    let mut all = objects(MANIFESTS);
    let pinned = BTreeMap::from([
        ("api".to_owned(), "r.io/api@sha256:aa".to_owned()),
        ("busybox:1.36".to_owned(), "docker.io/library/busybox@sha256:bb".to_owned()),
    ]);
    let mut expected = all[0].value.clone();
    expected["spec"]["template"]["spec"]["containers"][0]["image"] = json!("r.io/api@sha256:aa");
    expected["spec"]["template"]["spec"]["initContainers"][0]["image"] =
        json!("docker.io/library/busybox@sha256:bb");
    assert_eq!(pin(&mut all[0].value, &pinned), 2);
    assert_eq!(all[0].value, expected);
    assert_eq!(pin(&mut all[3].value, &pinned), 0);
}
