//! Whatever is in a folder: no panic, no hang, and errors with a place.

use proptest::prelude::*;
use skep_manifest::{SourceFile, read};

const WHOLE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: api, labels: &labels { app: api } }
spec:
  replicas: 010
  selector: { matchLabels: *labels }
  template:
    metadata: { labels: *labels }
    spec:
      containers:
        - name: api
          image: \"api:1\"
          command: [sh, -c, |
            echo one
            echo two]
---
{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}, \"data\": {\"A\": \"on\"}}]}
";

fn broken() -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        "\n",
        "  ",
        "\t",
        "&labels ",
        "*labels",
        "<<: *labels",
        "|\n",
        ">\n",
        "\"",
        "'",
        "~",
        "yes",
        "0o7",
        "1e999",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "? ",
        "\u{feff}",
        "\u{0}",
        "é",
        "&a [*a]",
    ];
    (any::<prop::sample::Index>(), 0..60_usize, prop::collection::vec(prop::sample::select(pieces), 0..6))
        .prop_map(|(at, cut, put)| {
            let starts: Vec<usize> = WHOLE.char_indices().map(|(at, _)| at).collect();
            let start = at.index(starts.len());
            let end = (start + cut).min(starts.len() - 1);
            format!("{}{}{}", &WHOLE[..starts[start]], put.concat(), &WHOLE[starts[end]..])
        })
}

fn reads(text: String) -> Result<(), TestCaseError> {
    let lines = text.split('\n').count() + 1;
    match read([SourceFile { path: "k8s/a.yaml".into(), text }]) {
        Ok(manifests) => {
            for object in &manifests.objects {
                prop_assert!(object.value["kind"].is_string() && object.origin.line <= lines);
            }
        }
        Err(error) => prop_assert!(error.to_string().contains("k8s/a.yaml"), "{error}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn manifests(text in broken()) {
        reads(text)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_at_all(text in "(\\PC|\n|\t){0,200}") {
        reads(text)?;
    }
}
