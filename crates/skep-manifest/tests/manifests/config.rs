//! Versioned config: names by content, references rewritten, consumers known.

use std::collections::BTreeMap;

use serde_json::json;
use skep_manifest::{
    ConfigReference, Salt, config_map, config_references, consumers, copy_of_version, label, owner_of,
    secret, split_config, version,
};

use crate::files::{value, values};

const POD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: honeydue}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      imagePullSecrets: [{name: s}]
      initContainers:
      - {name: i, envFrom: [{configMapRef: {name: c}}]}
      containers:
      - name: api
        envFrom: [{secretRef: {name: s}}, {configMapRef: {name: elsewhere}}]
        env:
        - {name: A, valueFrom: {configMapKeyRef: {name: c, key: A}}}
        - {name: B, valueFrom: {secretKeyRef: {name: s, key: B}}}
        - {name: C, value: c}
      volumes:
      - {name: v1, configMap: {name: c, defaultMode: 0400}}
      - {name: v2, secret: {secretName: s}}
      - name: v3
        projected: {sources: [{configMap: {name: c}}, {secret: {name: s}}, {serviceAccountToken: {path: t}}]}
";

fn one(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

#[test]
fn every_reference_is_rewritten_but_the_pull_secret() {
    let sets = [
        config_map("honeydue", "honeydue", "c", &one("A", "1")),
        secret("honeydue", "honeydue", "s", &one("B", "2"), &Salt::new(*b"salt")),
    ];
    let mut pod = value(POD);
    let readers = consumers([&pod], &sets);
    assert_eq!(version([&mut pod], &sets), 8);
    let (c, s) = (&sets[0].name, &sets[1].name);
    let found = config_references(&pod);
    let reference = |kind, name: &str| ConfigReference { kind, name: name.to_owned(), optional: false };
    assert_eq!(
        found,
        [reference("ConfigMap", c), reference("ConfigMap", "elsewhere"), reference("Secret", s)]
    );
    let spec = &pod["spec"]["template"]["spec"];
    assert_eq!(spec["imagePullSecrets"][0]["name"], json!("s"));
    assert_eq!(spec["volumes"][0]["configMap"]["defaultMode"], json!(256));
    assert_eq!(spec["volumes"][2]["projected"]["sources"][1]["secret"]["name"], json!(s));
    let shown: Vec<String> =
        readers.iter().map(|one| format!("{} {} {}", one.workload, one.kind, one.set)).collect();
    assert_eq!(shown, ["Deployment/api ConfigMap c", "Deployment/api Secret s"]);
    assert_eq!(consumers([&pod], &sets), readers, "by the versioned names too");
    assert_eq!(version([&mut pod], &sets), 0, "once is enough");
}

#[test]
fn reference_is_optional_only_if_every_mention_is() {
    let pod = |required: &str| {
        value(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - name: p\n    \
             envFrom: [{{secretRef: {{name: s, optional: true}}}}{required}]\n  volumes:\n  \
             - {{name: v, secret: {{secretName: s, optional: true}}}}\n"
        ))
    };
    let optional =
        |object| config_references(&object).into_iter().map(|one| one.optional).collect::<Vec<_>>();
    assert_eq!(optional(pod("")), [true]);
    assert_eq!(optional(pod(", {secretRef: {name: s}}")), [false]);
}

#[test]
fn a_name_is_its_content() {
    let salt = Salt::new(*b"salt");
    let config = |value: &str| config_map("a", "n", "c", &one("A", value)).name;
    let hidden = |value: &str, salt: &Salt| secret("a", "n", "c", &one("A", value), salt).name;
    assert_eq!(config("1"), config("1"));
    assert_ne!(config("1"), config("2"));
    assert_ne!(hidden("1", &salt), hidden("1", &Salt::new(*b"other")));
    assert_ne!(config("1"), hidden("1", &Salt::new([])));
    assert_eq!(config("1").len(), "c-".len() + 8);
    // `{AB: ""}` and `{A: "B"}` are not the same text put differently.
    assert_ne!(
        config_map("a", "n", "c", &one("AB", "")).name,
        config_map("a", "n", "c", &one("A", "B")).name
    );
}

#[test]
fn a_version_and_its_copy() {
    let set = secret("honeydue", "honeydue", "s", &one("KEY", "hunter2"), &Salt::new(*b"salt"));
    assert_eq!(
        set.version,
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
            "metadata": {
                "name": set.name, "namespace": "honeydue",
                "labels": {"app.kubernetes.io/managed-by": "skep", "skep.dev/app": "honeydue"},
                "annotations": {"skep.dev/version-of": "s"},
            },
            "data": {"KEY": "aHVudGVyMg=="},
        })
    );
    assert_eq!(set.copy["metadata"]["name"], json!("s"));
    assert_eq!(set.copy["metadata"]["annotations"], json!({"skep.dev/copy-of": set.name}));
    assert_eq!(set.copy.get("immutable"), None);
    let mut live = set.version.clone();
    live["metadata"]["uid"] = json!("u");
    assert_eq!(copy_of_version(&live), Some(set.copy.clone()), "a rollback writes the copy again");
    assert_eq!(copy_of_version(&set.copy), None);
    assert_eq!(format!("{set:?}"), format!("Secret/{}", set.name));
}

#[test]
fn sets_of_the_manifests() {
    let text = format!(
        "{POD}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{A: '1'}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: read-by-name}}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: s, labels: {{team: bees}}}}\nstringData: {{B: two}}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: pull}}\ntype: kubernetes.io/dockerconfigjson\n"
    );
    let salt = Salt::new(*b"salt");
    let (rest, sets) = split_config("honeydue", values(&text), &salt, &BTreeMap::new());
    let names: Vec<_> = rest.iter().map(|object| object["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["api", "read-by-name", "pull"]);
    assert_eq!(format!("{sets:?}"), format!("[ConfigMap/{}, Secret/{}]", sets[0].name, sets[1].name));
    assert_eq!(sets[1].version["data"], json!({"B": "dHdv"}));
    assert_eq!(sets[1].version.get("stringData"), None);
    assert_eq!(sets[1].version["metadata"]["labels"]["team"], json!("bees"));
    // However it is written, the same content has the same name.
    assert_eq!(sets[1].name, secret("honeydue", "n", "s", &one("B", "two"), &salt).name);
}

#[test]
fn labels_stay_out_of_templates_and_selectors() {
    let mut pod = value(POD);
    let spec = pod["spec"].clone();
    assert_eq!(owner_of(&pod), None);
    label(&mut pod, "honeydue");
    assert_eq!(owner_of(&pod), Some("honeydue"));
    assert_eq!(pod["spec"], spec);
}
