//! Files mean what they mean to kubectl.

use serde_json::json;
use skep_manifest::{SourceFile, merge, read, settle};

use crate::files::{file, objects, try_read, value, values};

#[test]
fn words_octals_and_numbers_are_kubectl_s() {
    let map = value(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: words }
x:
  octal: 0400
  modern: 0o17
  quoted: "0400"
  single: '1'
  on: yes
  debug: off
  short: y
  text: !!str on
  empty:
  tilde: ~
  float: 1.0
  half: 0.5
  big: 123456789012345678901234567890
  max: 18446744073709551615
  under: 1_000
  date: 2026-01-02
  time: 12:30:45
  1: one
  1.5: float key
  folded: >-
    a
    b
  literal: |
    on
"#,
    );
    assert_eq!(
        map["x"],
        json!({
            "octal": 256, "modern": 15, "quoted": "0400", "single": "1", "true": true, "debug": false, "short": true,
            "text": "on", "empty": null, "tilde": null, "float": 1, "half": 0.5,
            "big": 1.234_567_890_123_456_8e29, "max": 1.844_674_407_370_955_2e19, "under": 1000, "date": "2026-01-02",
            "time": "12:30:45", "1": "one", "1.5": "float key", "folded": "a b", "literal": "on\n"
        })
    );
}

/// `words.json` is what kubectl 1.32 makes of `words.yaml`, offline:
/// `kubectl annotate --local -f words.yaml skep=1 -o json`, without that annotation.
#[test]
fn the_same_as_kubectl_s_own_answer() {
    let expected: serde_json::Value = serde_json::from_str(include_str!("kubectl/words.json")).expect("JSON");
    let ours = value(include_str!("kubectl/words.yaml"));
    let (ours, expected) = (ours["x"].as_object().expect("a map"), expected["x"].as_object().expect("a map"));
    for (key, value) in expected {
        assert_eq!(ours.get(key), Some(value), "{key}");
    }
    assert_eq!(ours.len(), expected.len());
}

#[test]
fn anchors_and_merge_keys() {
    let object = value(
        "
apiVersion: v1
kind: ConfigMap
metadata: { name: m }
base: &base { a: 1, b: 2 }
other: &other { b: 3, c: 4 }
one: { <<: *base, b: own }
after: { b: own, <<: *base }
two:
  <<: [*base, *other]
  c: own
again: *base
quoted: { '<<': kept }
",
    );
    assert_eq!(object["one"], json!({"a": 1, "b": "own"}));
    assert_eq!(object["after"], json!({"a": 1, "b": 2}), "kubectl reads a mapping in order");
    assert_eq!(object["two"], json!({"a": 1, "b": 2, "c": "own"}));
    assert_eq!(object["again"], json!({"a": 1, "b": 2}));
    assert_eq!(object["quoted"], json!({"<<": "kept"}));
}

#[test]
fn several_documents_lists_and_json() {
    let text = "---\n# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n\
                apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: b}\n\
                - apiVersion: v1\n  kind: Service\n  metadata: {name: c}\n---\n\
                apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: d}\n...\n";
    let objects = objects(text);
    let shown: Vec<String> = objects.iter().map(|object| format!("{object:?}")).collect();
    assert_eq!(
        shown,
        [
            "Service/a at deploy/api.yaml:4",
            "Secret/b at deploy/api.yaml:11",
            "Service/c at deploy/api.yaml:14",
            "ConfigMap/d at deploy/api.yaml:21",
        ]
    );
    let json = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"metadata\": {\"name\": \"j\"},\n\t\"on\": 1e2\n}\n";
    let read = read([file("a.json", json)]).expect("valid");
    assert_eq!(read.objects[0].value["on"], json!(100));
}

#[test]
fn empty_documents_yield_nothing_and_kustomizations_are_listed() {
    let read = read([
        file("comments.yaml", "# nothing\n---\n---\n# here\n...\n"),
        file("empty.yml", ""),
        file("a.prod", "~\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"),
        file(
            "kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
        ),
    ])
    .expect("valid");
    let ignored: Vec<String> =
        read.ignored.iter().map(|one| format!("{}:{}", one.file.display(), one.line)).collect();
    assert_eq!(ignored, ["kustomization.yaml:1"]);
    assert_eq!(read.objects.len(), 1);
}

#[test]
fn content_without_an_object_is_an_error() {
    for (text, found) in [
        ("replicas: 3\n", "a mapping with neither"),
        ("apiversion: v1\nKind: Service\n", "a mapping with `Kind`"),
        ("just words\n", "a plain value"),
        ("- a list\n", "a list"),
        ("null\n", "null"),
        ("apiVersion: v1\nkind: List\nitems: []\n", "a List without items"),
        ("apiVersion: v1\nkind: List\nitems:\n", "a List without items"),
    ] {
        let error = try_read(text).expect_err(text).to_string();
        assert!(error.contains(&format!("expected a Kubernetes object, found {found}")), "{error}");
    }
}

#[test]
fn files_are_decoded_as_kubectl_does() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: é}\n";
    let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
        [mark, &text.encode_utf16().flat_map(unit).collect::<Vec<_>>()].concat()
    };
    for bytes in [
        text.as_bytes().to_vec(),
        utf16(&[0xff, 0xfe], u16::to_le_bytes),
        utf16(&[0xfe, 0xff], u16::to_be_bytes),
    ] {
        assert_eq!(SourceFile::decode("a.yaml".into(), bytes).expect("text").text, text);
    }
    for (bytes, place) in [
        (&b"# caf\xe9\n"[..], "a.yaml:1:6: not valid UTF-8: byte 0xe9"),
        (b"a: 1\nb: \xff\n", "a.yaml:2:4: not valid UTF-8: byte 0xff"),
        // Half a unit, and half a pair: UTF-16 that isn't whole.
        (b"\xff\xfea", "a.yaml:1:1: not valid UTF-8: byte 0xff"),
        (b"\xff\xfe\x00\xd8", "a.yaml:1:1: not valid UTF-8: byte 0xff"),
    ] {
        let error = SourceFile::decode("a.yaml".into(), bytes.to_vec()).expect_err(place).to_string();
        assert_eq!(error, place);
    }
    // Without its mark, UTF-16 is text full of NULs: no object.
    let unmarked: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let read = SourceFile::decode("a.yaml".into(), unmarked.into_iter().filter(u8::is_ascii).collect());
    assert!(read.and_then(read_one).is_err());
}

fn read_one(file: SourceFile) -> Result<usize, skep_manifest::ManifestError> {
    read([file]).map(|read| read.objects.len())
}

#[test]
fn bom_crlf_and_no_last_line_feed() {
    let object = value(
        "\u{feff}apiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: a}\r\ndata:\r\n  x: |\r\n    one\r\n    two",
    );
    assert_eq!(object["data"]["x"], json!("one\ntwo\n"));
}

#[test]
fn aliases_of_aliases_end_in_an_error() {
    let mut text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..9 {
        let last = format!("*a{}", n - 1);
        text += &format!("a{n}: &a{n} [{}]\n", vec![last; 10].join(","));
    }
    let error = try_read(&text).expect_err("grows to 10^9");
    assert!(error.to_string().contains("too large"), "{error}");
}

#[test]
fn a_later_folder_is_laid_over_an_earlier() {
    let base = objects(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec:\n  replicas: 3\n  template:\n    spec:\n      \
         containers:\n      - {name: api, image: api}\n",
    );
    let local = read([file(
        "local/api.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: honeydue}\nspec:\n  replicas: 1\n  \
         paused: null\n  template:\n    spec:\n      containers:\n      - {name: api, image: other}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: postgres}\n",
    )])
    .expect("valid")
    .objects;
    let merged = merge([base, local]).expect("no duplicates");
    assert_eq!(merged.len(), 2);
    assert_eq!(merged[0].value["spec"]["replicas"], json!(1));
    let place = |pointer: &str| merged[0].place(pointer).to_string();
    assert_eq!(place("/spec/replicas"), "local/api.yaml:5");
    assert_eq!(place("/spec/template/spec/containers/0/image"), "local/api.yaml:10");
    assert_eq!(place("/kind"), "local/api.yaml:2");
    assert_eq!(place("/spec/template"), "deploy/api.yaml:6");
}

#[test]
fn namespaces_are_the_app_s() {
    let mut all = objects(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: honeydue}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: b, namespace: x}\n---\n\
         apiVersion: example.com/v1\nkind: Fleet\nmetadata: {name: c}\n---\n\
         apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: d}\n\
         spec: {group: example.com, scope: Cluster, names: {kind: Fleet}}\n",
    );
    settle(&mut all, "honeydue").expect("all fine");
    let namespaces: Vec<_> = all.iter().map(|object| object.value["metadata"]["namespace"].clone()).collect();
    assert_eq!(namespaces, [json!(null), json!("honeydue"), json!(null), json!(null), json!(null)]);
}

/// kubectl reads a key `b` here, and YAML 1.2 a comment.
#[test]
fn other_line_break_in_yaml_is_refused() {
    for (char, escape) in [('\u{85}', "\\N"), ('\u{2028}', "\\L"), ('\u{2029}', "\\P")] {
        let text =
            format!("\u{feff}apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: ä}} # note{char}b: z\n");
        let error = read([file("a.yaml", &text)]).expect_err("it is a line break to kubectl").to_string();
        assert!(error.starts_with("a.yaml:3:27: not valid YAML: U+"), "{error}");
        assert!(error.contains(&format!("`{escape}`")), "{error}");
        let json = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"a"}},"data":{{"b":"x{char} y"}}}}"#
        );
        assert_eq!(values(&json)[0]["data"]["b"], format!("x{char} y"), "JSON knows one line break");
    }
}

#[test]
fn nothing_of_a_newer_kubernetes_is_dropped() {
    let text = "apiVersion: v9\nkind: Novelty\nmetadata: {name: a}\nspec: {deep: [{er: {still: here}}]}\n";
    assert_eq!(values(text)[0]["spec"], json!({"deep": [{"er": {"still": "here"}}]}));
}
