//! The inputs that are kept in `fuzz/corpus`, and beside those of manifests what kubectl reads in them.

use std::{fs, path::PathBuf};

use serde_json::Value;
use skep_properties as properties;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(name)
}

/// The files of a folder with their names, sorted.
fn files(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder(name)).unwrap_or_else(|error| panic!("fuzz/{name}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read(path).expect("a file can be read"))
        })
        .collect();
    files.sort();
    files
}

/// Calls a property with each input of its corpus.
#[expect(clippy::print_stdout, reason = "the last line that a failed test prints names its input")]
fn replay(target: &str, property: fn(&[u8])) {
    let files = files(&format!("corpus/{target}"));
    assert!(files.len() >= 10, "fuzz/corpus/{target} has {} inputs", files.len());
    for (name, data) in files {
        println!("fuzz/corpus/{target}/{name}");
        property(&data);
    }
}

#[test]
fn dockerignore_corpus_holds() {
    replay("dockerignore", properties::dockerignore);
}

#[test]
fn env_file_corpus_holds() {
    replay("env_file", properties::env_file);
}

#[test]
fn kubeconfig_corpus_holds() {
    replay("kubeconfig", properties::kubeconfig);
}

#[test]
fn manifests_corpus_holds() {
    replay("manifests", properties::manifests);
}

#[test]
fn migration_corpus_holds() {
    replay("migration", properties::migration);
}

#[test]
fn project_corpus_holds() {
    replay("project", properties::project);
}

#[test]
fn release_corpus_holds() {
    replay("release", properties::release);
}

/// What kubectl takes and Skep refuses, each with its reason.
const STRICTER: &[(&str, &str)] = &[
    ("binary_tag", "a Secret has its own place for base64"),
    ("json_two", "one file of JSON is one document"),
    ("key_types", "two keys are the same once both are words"),
    ("line_separator", "a line break to one reader and not to the other"),
    ("line_separator_in_comment", "see line_separator"),
    ("line_separator_in_plain", "see line_separator"),
    ("next_line", "see line_separator"),
    ("next_line_in_comment", "see line_separator"),
    ("next_line_in_plain", "see line_separator"),
    ("no_name", "no cluster takes an object without a name"),
    ("one_letter_words", "no cluster takes a boolean for a string"),
    ("paragraph_separator_in_comment", "see line_separator"),
    ("paragraph_separator_in_plain", "see line_separator"),
    ("repeated_key", "one of the two values would be lost"),
    ("separator_without_space", "`---#note` is a separator to kubectl only"),
];

/// What kubectl refuses and Skep takes, each with its reason.
const MORE_LENIENT: &[(&str, &str)] = &[
    ("directive", "kubectl splits at `---` before it knows directives"),
    ("document_inline", "kubectl cuts what follows `---` on its line"),
    ("flow_lines", "to kubectl what begins with a brace is JSON"),
    ("slash_escape", "YAML 1.2 has JSON's `\\/`"),
    ("tab_after_dash", "YAML 1.2 allows a tab there"),
    ("tab_first_in_block", "YAML 1.2 allows a tab there"),
];

/// `scripts/kubectl-reads` has written the answers.
#[test]
fn manifests_are_read_as_kubectl_reads_them() {
    let answers = files("answers/manifests");
    assert_eq!(answers.len(), files("corpus/manifests").len(), "run scripts/kubectl-reads");
    let listed =
        |list: &[(&str, &str)], input: &str| list.iter().any(|(name, _)| format!("{name}.yaml") == input);
    let mut differ = Vec::new();
    for (name, answer) in answers {
        let input = name.trim_end_matches(".json");
        let text = fs::read(folder("corpus/manifests").join(input)).expect("an answer belongs to an input");
        let text = String::from_utf8(text).expect("the corpus is text");
        let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
        let read = properties::read("a.yaml", &text).map(|manifests| {
            Value::Array(manifests.objects.into_iter().map(|object| object.value).collect())
        });
        let agrees = match (answer.get("objects"), &read) {
            (Some(expected), Ok(objects)) => expected == objects,
            (Some(_), Err(_)) => listed(STRICTER, input),
            (None, Ok(objects)) => *objects == Value::Array(Vec::new()) || listed(MORE_LENIENT, input),
            (None, Err(_)) => true,
        };
        if !agrees {
            let read = read.map_or_else(|error| error.to_string(), |objects| objects.to_string());
            differ.push(format!("{input}: kubectl reads {answer}, Skep {read}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
