//! A Deployment as kubectl 1.36 and a real API server left it after `apply`, `set image`, `rollout undo`, `scale`, `rollout restart` and
//! `set env`.

use serde_json::{Value, json};

use super::*;
use crate::differences;

fn live() -> Value {
    serde_json::from_str(include_str!("by_kubectl.json")).expect("the fixture is JSON")
}

#[test]
fn kubectl_is_known_in_each_of_its_commands() {
    assert_eq!(
        adoptable_from(&live()),
        ["kubectl", "kubectl-client-side-apply", "kubectl-rollout", "kubectl-set"]
    );
    let mut ours = live();
    crate::label(&mut ours, "shop");
    assert_eq!(adoptable_from(&ours), Vec::<String>::new(), "what has an owner is not adopted");
    assert_eq!(
        adoptable_from(&json!({"metadata": {"managedFields": [{"manager": "helm"}]}})),
        Vec::<String>::new()
    );
}

#[test]
fn what_people_wrote_is_read_off_their_fields() {
    let written = as_written(&live());
    assert_eq!(
        written["metadata"],
        json!({"name": "api", "namespace": "shop", "annotations": {}, "labels": {"team": "a"}})
    );
    assert_eq!(written["spec"]["replicas"], 2, "kubectl scale");
    let template = &written["spec"]["template"];
    assert_eq!(template["metadata"], json!({"labels": {"app": "api"}}), "a restart is no wish");
    let api = &template["spec"]["containers"][0];
    assert_eq!(api["image"], "registry.example.com/pause:1", "kubectl rollout undo");
    assert_eq!(api["ports"], json!([{"containerPort": 8000, "name": "http", "protocol": "TCP"}]));
    assert_eq!(
        api["env"],
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        "kubectl set env"
    );
    assert_eq!(api["args"], json!(["a", "b"]));
    assert!(written.get("status").is_none());
}

#[test]
fn kubectl_s_fields_become_the_applier_s_and_a_restart_stays_kubectl_s() {
    let fields = adopted_fields(&live(), "skep");
    let by = |manager: &str| -> Vec<&Value> {
        fields.as_array().expect("a list").iter().filter(|entry| entry["manager"] == manager).collect()
    };
    for gone in ["kubectl", "kubectl-client-side-apply", "kubectl-set"] {
        assert!(by(gone).is_empty(), "{gone} keeps fields");
    }
    assert_eq!(by("kube-controller-manager").len(), 1);
    let restart = json!({"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}});
    assert_eq!(by("kubectl-rollout")[0]["fieldsV1"], restart);
    let mine = by("skep");
    assert_eq!((mine.len(), &mine[0]["operation"]), (1, &json!("Apply")));
    let spec = &mine[0]["fieldsV1"]["f:spec"];
    assert_eq!(spec["f:replicas"], json!({}));
    let env = &spec["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"api\"}"]["f:env"];
    assert!(env.get("k:{\"name\":\"A\"}").is_some() && env.get("k:{\"name\":\"B\"}").is_some(), "{env}");
}

/// The manifest says no more of `B`, `args` and the grace period; of the rest kubectl had written nothing but defaults.
#[test]
fn fields_that_the_manifest_lacks_go_away_and_defaults_come_back() {
    let live = live();
    let mut desired = as_written(&live);
    let drop = |value: &mut Value, key: &str| value.as_object_mut().and_then(|object| object.remove(key));
    for key in ["progressDeadlineSeconds", "revisionHistoryLimit", "strategy"] {
        drop(&mut desired["spec"], key);
    }
    let pod = &mut desired["spec"]["template"]["spec"];
    for key in
        ["terminationGracePeriodSeconds", "restartPolicy", "dnsPolicy", "schedulerName", "securityContext"]
    {
        drop(pod, key);
    }
    pod["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    for key in ["args", "imagePullPolicy", "resources", "terminationMessagePath", "terminationMessagePolicy"]
    {
        drop(&mut pod["containers"][0], key);
    }
    // What a server makes of it: its defaults, and 30 s of grace.
    let mut fresh = live.clone();
    let pod = &mut fresh["spec"]["template"]["spec"];
    pod["terminationGracePeriodSeconds"] = json!(30);
    pod["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    drop(&mut pod["containers"][0], "args");
    let expected = after_adoption(&live, &live, &desired, &fresh);
    let paths: Vec<String> =
        differences(&live, &expected).into_iter().map(|difference| difference.path).collect();
    let pod = "spec.template.spec";
    assert_eq!(
        paths,
        [
            format!("{pod}.containers[api].args"),
            format!("{pod}.containers[api].env[B]"),
            format!("{pod}.terminationGracePeriodSeconds"),
        ]
    );
}
