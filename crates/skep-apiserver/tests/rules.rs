//! Defaults, validation, and what may not change: what is sent, and what is stored or refused.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use serde_json::{Value, json};
use skep_apiserver::{Kind, Patch, PatchOptions, Resources, ResourcesConfig, Status};

fn resources() -> Resources {
    let service_cidr = Some(("10.96.0.0".parse().unwrap(), 29));
    let reserved = vec!["10.96.0.1".parse().unwrap()];
    Resources::open(ResourcesConfig { file: None, service_cidr, reserved }).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "called with json! values")]
fn object(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default"}});
    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    object
}

fn deployment() -> Value {
    object(
        "apps/v1",
        "Deployment",
        "web",
        json!({"spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]}}}}),
    )
}

fn job() -> Value {
    object(
        "batch/v1",
        "Job",
        "once",
        json!({"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "once", "image": "example.com/once@sha256:00"}]}}}}),
    )
}

#[expect(clippy::needless_pass_by_value, reason = "called with json! values")]
fn service(name: &str, spec: Value) -> Value {
    object("v1", "Service", name, json!({"spec": spec}))
}

/// What is said of an object in which the value at a pointer is another (null: none).
async fn refused(mut object: Value, pointer: &str, value: Value) -> Status {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match parent.as_array_mut() {
        Some(list) => list[key.parse::<usize>().unwrap()] = value,
        None => parent[key] = value,
    }
    resources().create(object, "test").await.unwrap_err()
}

#[tokio::test]
async fn a_deployment_is_filled_in() {
    let resources = resources();
    let made = resources.create(deployment(), "test").await.unwrap();
    let spec = &made["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["progressDeadlineSeconds"], 600);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 30);
    assert_eq!(pod["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(made["metadata"]["generation"], 1);
    let again = resources.update((*made).clone(), "test").await.unwrap();
    assert_eq!(made, again, "defaults change nothing the second time");
}

#[tokio::test]
async fn only_the_wish_counts_as_a_generation() {
    let resources = resources();
    resources.create(deployment(), "test").await.unwrap();
    let patched = async |patch: Value| {
        let patch = Patch::Merge(patch);
        resources
            .patch(Kind::DEPLOYMENT, Some("default"), "web", patch, PatchOptions::default())
            .await
            .unwrap()
    };
    assert_eq!(patched(json!({"metadata": {"labels": {"x": "y"}}})).await["metadata"]["generation"], 1);
    let scaled = patched(json!({"spec": {"replicas": 2}})).await;
    assert_eq!(scaled["metadata"]["generation"], 2);
    let mut status = (*scaled).clone();
    status["status"] = json!({"replicas": 2, "observedGeneration": 2});
    assert_eq!(resources.update_status(status, "controller").await.unwrap()["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_wrong_deployment_is_refused_with_every_cause() {
    for (pointer, value, field, said) in [
        (
            "/spec/selector/matchLabels/app",
            json!("db"),
            "spec.template.metadata.labels",
            "`selector` does not match",
        ),
        ("/spec/replicas", json!(-1), "spec.replicas", "must be greater than or equal to 0"),
        ("/spec/template/spec/containers", json!([]), "spec.template.spec.containers", "Required value"),
        (
            "/spec/template/spec/restartPolicy",
            json!("Never"),
            "spec.template.spec.restartPolicy",
            "Unsupported value: \"Never\"",
        ),
        (
            "/spec/strategy",
            json!({"type": "Recreate", "rollingUpdate": {}}),
            "spec.strategy.rollingUpdate",
            "Forbidden",
        ),
        (
            "/spec/strategy",
            json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            "spec.strategy.rollingUpdate.maxUnavailable",
            "may not be 0",
        ),
        (
            "/spec/template/spec/containers/0/name",
            json!("Web"),
            "spec.template.spec.containers[0].name",
            "RFC 1123 label",
        ),
        (
            "/spec/template/spec/containers/0/image",
            json!(""),
            "spec.template.spec.containers[0].image",
            "Required value",
        ),
        (
            "/spec/template/spec/containers/0/volumeMounts",
            json!([{"name": "x", "mountPath": "/x"}]),
            "spec.template.spec.containers[0].volumeMounts[0].name",
            "Not found: \"x\"",
        ),
        (
            "/spec/template/spec/containers/0/livenessProbe",
            json!({"periodSeconds": 1}),
            "spec.template.spec.containers[0].livenessProbe",
            "must specify a handler type",
        ),
        (
            "/spec/template/spec/containers/0/resources",
            json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
            "spec.template.spec.containers[0].resources.requests",
            "must be less than or equal to cpu limit of 1",
        ),
        ("/metadata/name", json!("Web_1"), "metadata.name", "RFC 1123 subdomain"),
        ("/metadata/labels", json!({"a b": "c"}), "metadata.labels", "name part must consist of"),
    ] {
        let status = refused(deployment(), pointer, value).await;
        assert_eq!((status.code, status.reason), (422, "Invalid"), "{pointer}: {status}");
        assert!(status.message.contains(said), "{pointer}: {status}");
        assert_eq!(status.details.unwrap().causes[0].field, field, "{pointer}");
    }
}

#[tokio::test]
async fn wrong_types_and_unknown_fields_are_refused() {
    let status = refused(deployment(), "/spec/replicas", json!("many")).await;
    assert_eq!(status.code, 400);
    assert!(status.message.contains("spec.replicas: invalid type: string \"many\""), "{status}");
    let status = refused(deployment(), "/spec/foo", json!(1)).await;
    assert_eq!(status.message, "strict decoding error: unknown field \"spec.foo\"");
    let status = refused(deployment(), "/spec/template/spec/containers/0/imagee", json!("x")).await;
    assert_eq!(
        status.message,
        "strict decoding error: unknown field \"spec.template.spec.containers[0].imagee\""
    );
}

#[tokio::test]
async fn what_is_immutable_stays() {
    let resources = resources();
    resources.create(deployment(), "test").await.unwrap();
    resources.create(job(), "test").await.unwrap();
    resources.create(service("web", json!({"ports": [{"port": 80}]})), "test").await.unwrap();
    let frozen = object("v1", "ConfigMap", "frozen", json!({"data": {"a": "1"}, "immutable": true}));
    resources.create(frozen, "test").await.unwrap();
    resources.create(object("v1", "Secret", "keys", json!({"type": "Opaque"})), "test").await.unwrap();
    for (kind, name, patch, field) in [
        (
            Kind::DEPLOYMENT,
            "web",
            json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}}}}),
            "spec.selector",
        ),
        (
            Kind::JOB,
            "once",
            json!({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}),
            "spec.template",
        ),
        (Kind::SERVICE, "web", json!({"spec": {"clusterIP": "10.96.0.5"}}), "spec.clusterIPs[0]"),
        (Kind::CONFIG_MAP, "frozen", json!({"data": {"a": "2"}}), "data"),
        (Kind::CONFIG_MAP, "frozen", json!({"immutable": false}), "immutable"),
        (Kind::SECRET, "keys", json!({"type": "other"}), "type"),
    ] {
        let status = resources
            .patch(kind, Some("default"), name, Patch::Merge(patch), PatchOptions::default())
            .await
            .unwrap_err();
        assert_eq!(status.code, 422, "{status}");
        assert_eq!(status.details.unwrap().causes[0].field, field);
    }
    let labels = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    resources
        .patch(Kind::CONFIG_MAP, Some("default"), "frozen", labels, PatchOptions::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn services_get_addresses_that_nobody_has() {
    let resources = resources();
    let port = json!([{"port": 80}]);
    let a = resources.create(service("a", json!({"ports": port})), "test").await.unwrap();
    assert_eq!(a["spec"]["clusterIP"], "10.96.0.2", "the first is reserved");
    assert_eq!(a["spec"]["clusterIPs"], json!(["10.96.0.2"]));
    assert_eq!(a["spec"]["ports"][0], json!({"port": 80, "targetPort": 80, "protocol": "TCP"}));
    let headless = resources.create(service("h", json!({"clusterIP": "None"})), "test").await.unwrap();
    assert_eq!(headless["spec"]["clusterIP"], "None");
    let named = resources
        .create(service("n", json!({"clusterIP": "10.96.0.4", "ports": port})), "test")
        .await
        .unwrap();
    assert_eq!(named["spec"]["clusterIP"], "10.96.0.4");
    for wrong in ["10.96.0.4", "10.97.0.1", "nonsense"] {
        let status = resources
            .create(service("x", json!({"clusterIP": wrong, "ports": port})), "test")
            .await
            .unwrap_err();
        assert_eq!(status.code, 422, "{wrong}: {status}");
    }
    let b = resources.create(service("b", json!({"ports": port})), "test").await.unwrap();
    assert_eq!(b["spec"]["clusterIP"], "10.96.0.3");
    let mut put = service("b", json!({"ports": [{"port": 81}]}));
    put["metadata"]["resourceVersion"] = b["metadata"]["resourceVersion"].clone();
    assert_eq!(
        resources.update(put, "test").await.unwrap()["spec"]["clusterIP"],
        "10.96.0.3",
        "a PUT without it keeps it"
    );
}

#[tokio::test]
async fn a_job_selects_its_own_pods() {
    let made = resources().create(job(), "test").await.unwrap();
    let uid = &made["metadata"]["uid"];
    assert_eq!(made["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], *uid);
    let labels = &made["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["job-name"], "once");
    assert_eq!(labels["batch.kubernetes.io/controller-uid"], *uid);
    assert_eq!(made["spec"]["backoffLimit"], 6);
    let status = refused(job(), "/spec/template/spec/restartPolicy", json!("Always")).await;
    assert!(status.message.contains("supported values: \"OnFailure\", \"Never\""), "{status}");
}

#[tokio::test]
async fn a_secret_is_written_as_text_and_read_as_base64() {
    let resources = resources();
    let secret =
        object("v1", "Secret", "keys", json!({"data": {"a": "MQ=="}, "stringData": {"b": "2", "a": "3"}}));
    let made = resources.create(secret.clone(), "test").await.unwrap();
    assert_eq!(made["data"], json!({"a": "Mw==", "b": "Mg=="}));
    assert_eq!(made["type"], "Opaque");
    assert!(made.get("stringData").is_none());
    let options = || PatchOptions { manager: "skep".to_owned(), force: true, ..PatchOptions::default() };
    let first = resources
        .patch(Kind::SECRET, Some("default"), "keys", Patch::Apply(secret.clone()), options())
        .await
        .unwrap();
    let second = resources
        .patch(Kind::SECRET, Some("default"), "keys", Patch::Apply(secret), options())
        .await
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(
        refused(object("v1", "Secret", "x", json!({"data": {}})), "/data/a", json!("no base64!")).await.code,
        400
    );
}

#[tokio::test]
async fn applying_what_is_there_changes_nothing_for_any_kind() {
    let resources = resources();
    let ingress = object(
        "networking.k8s.io/v1",
        "Ingress",
        "web",
        json!({"spec": {"rules": [{"host": "a.localhost", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}}),
    );
    let hpa = object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "web",
        json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}}}),
    );
    let budget = object(
        "policy/v1",
        "PodDisruptionBudget",
        "web",
        json!({"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
    );
    let claim = object(
        "v1",
        "PersistentVolumeClaim",
        "data",
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}),
    );
    let mut sized = deployment();
    sized["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": 1, "memory": "0.5Gi"}});
    for object in [
        sized,
        job(),
        service("web", json!({"ports": [{"port": 80, "targetPort": "http"}]})),
        ingress,
        hpa,
        budget,
        claim,
    ] {
        let kind =
            Kind::find(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap()).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let apply = async || {
            let options = PatchOptions { manager: "skep".to_owned(), ..PatchOptions::default() };
            resources
                .patch(kind, Some("default"), &name, Patch::Apply(object.clone()), options)
                .await
                .unwrap()
        };
        let first = apply().await;
        assert_eq!(first, apply().await, "{kind:?}");
    }
}

#[tokio::test]
async fn a_controllers_status_is_no_conflict_for_the_next_apply() {
    let resources = resources();
    let options = || PatchOptions { manager: "skep".to_owned(), ..PatchOptions::default() };
    let made = resources
        .patch(Kind::DEPLOYMENT, Some("default"), "web", Patch::Apply(deployment()), options())
        .await
        .unwrap();
    let mut status = (*made).clone();
    status["status"] = json!({"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]});
    let observed = resources.update_status(status, "deployment-controller").await.unwrap();
    let owner = observed["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["manager"] == "deployment-controller");
    assert_eq!(owner.unwrap()["subresource"], "status");
    assert_eq!(owner.unwrap()["operation"], "Update");
    let mut next = deployment();
    next["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.com/web:2");
    let applied = resources
        .patch(Kind::DEPLOYMENT, Some("default"), "web", Patch::Apply(next), options())
        .await
        .unwrap();
    assert_eq!(applied["status"], observed["status"]);
    assert_eq!(applied["metadata"]["generation"], 2);
}

#[tokio::test]
async fn an_autoscaler_takes_the_replicas_over() {
    let resources = resources();
    let options = || PatchOptions { manager: "skep".to_owned(), ..PatchOptions::default() };
    let mut first = deployment();
    first["spec"]["replicas"] = json!(2);
    resources
        .patch(Kind::DEPLOYMENT, Some("default"), "web", Patch::Apply(first.clone()), options())
        .await
        .unwrap();
    let scale = Patch::Merge(json!({"spec": {"replicas": 5}}));
    let by_scale = PatchOptions {
        manager: "hpa".to_owned(),
        subresource: Some(skep_apiserver::Subresource::Scale),
        ..PatchOptions::default()
    };
    let scaled = resources.patch(Kind::DEPLOYMENT, Some("default"), "web", scale, by_scale).await.unwrap();
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&json!("Scale"), &json!(5)));
    let status = resources
        .patch(Kind::DEPLOYMENT, Some("default"), "web", Patch::Apply(first), options())
        .await
        .unwrap_err();
    assert!(
        status
            .message
            .contains("conflict with \"hpa\" with subresource \"scale\" using apps/v1: .spec.replicas"),
        "{status}"
    );
    let applied = resources
        .patch(Kind::DEPLOYMENT, Some("default"), "web", Patch::Apply(deployment()), options())
        .await
        .unwrap();
    assert_eq!(applied["spec"]["replicas"], 5);
}

#[tokio::test]
async fn a_strategic_patch_merges_lists_by_key() {
    let resources = resources();
    let mut object = deployment();
    object["spec"]["template"]["spec"]["containers"] = json!([
        {"name": "web", "image": "w:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}, {"name": "side", "image": "s:1"}]);
    resources.create(object, "test").await.unwrap();
    let patched = async |containers: Value| {
        let patch = Patch::Strategic(json!({"spec": {"template": {"spec": containers}}}));
        let made = resources
            .patch(Kind::DEPLOYMENT, Some("default"), "web", patch, PatchOptions::default())
            .await
            .unwrap();
        let all = made["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone();
        all.iter()
            .map(|c| format!("{}={} {}", c["name"].as_str().unwrap(), c["image"].as_str().unwrap(), c["env"]))
            .collect::<Vec<_>>()
    };
    let env = r#"[{"name":"A","value":"1"},{"name":"B","value":"2"}]"#;
    assert_eq!(
        patched(json!({"containers": [{"name": "web", "image": "w:2"}]})).await,
        [format!("web=w:2 {env}"), "side=s:1 null".to_owned()]
    );
    assert_eq!(
        patched(json!({"$setElementOrder/containers": [{"name": "side"}, {"name": "web"}], "containers": [{"name": "web", "env": [{"name": "A", "$patch": "delete"}]}]})).await,
        ["side=s:1 null", r#"web=w:2 [{"name":"B","value":"2"}]"#]
    );
    assert_eq!(patched(json!({"containers": [{"$patch": "delete", "name": "side"}]})).await.len(), 1);
    assert_eq!(
        patched(json!({"containers": [{"$patch": "replace"}, {"name": "new", "image": "n:1"}]})).await,
        ["new=n:1 null"]
    );
    let status = resources
        .patch(
            Kind::DEPLOYMENT,
            Some("default"),
            "web",
            Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}})),
            PatchOptions::default(),
        )
        .await
        .unwrap_err();
    assert!(status.message.contains("does not contain declared merge key: name"), "{status}");
}

#[tokio::test]
async fn a_json_patch_that_does_not_fit_is_refused() {
    let resources = resources();
    resources.create(deployment(), "test").await.unwrap();
    let patch = Patch::Json(json!([{"op": "replace", "path": "/metadata/annotations/none", "value": "x"}]));
    let status = resources
        .patch(Kind::DEPLOYMENT, Some("default"), "web", patch, PatchOptions::default())
        .await
        .unwrap_err();
    assert_eq!(status.code, 422);
    let stale = Patch::Merge(json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 9}}));
    let status = resources
        .patch(Kind::DEPLOYMENT, Some("default"), "web", stale, PatchOptions::default())
        .await
        .unwrap_err();
    assert!(status.is_conflict(), "a version in a patch is a precondition: {status}");
}

#[tokio::test]
async fn an_apply_must_be_one() {
    let resources = resources();
    let apply = async |object: Value, manager: &str| {
        let options = PatchOptions { manager: manager.to_owned(), ..PatchOptions::default() };
        resources
            .patch(Kind::DEPLOYMENT, Some("default"), "web", Patch::Apply(object), options)
            .await
            .unwrap_err()
    };
    assert_eq!(apply(deployment(), "").await.code, 422);
    let mut managed = deployment();
    managed["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    assert_eq!(apply(managed, "skep").await.message, "metadata.managedFields must be nil");
    let mut other = deployment();
    other["metadata"]["name"] = json!("other");
    assert_eq!(apply(other, "skep").await.code, 400);
    let mut uid = deployment();
    uid["metadata"]["uid"] = json!("x");
    assert!(apply(uid, "skep").await.is_conflict());
}
