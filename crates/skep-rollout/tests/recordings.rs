//! Rollouts that were recorded for real, judged once more: each file of `recordings/` is a `recording.jsonl` out of a release's bundle, and
//! the verdicts that it holds are those that follow from it. A report of a wrong verdict is such a file, with the right words put in.

use std::{fs, path::Path};

use skep_rollout::recording::Recording;

#[test]
fn every_recording_leads_to_the_verdicts_that_it_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let files = fs::read_dir(folder).expect("the recordings").map(|entry| entry.expect("an entry").path());
    let mut seen = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("text");
        let recording = Recording::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(recording.replay(), recording.said(), "{}", file.display());
        assert!(!recording.is_cut() && recording.time_to_verdict().is_some(), "{}", file.display());
        seen += 1;
    }
    assert!(seen > 0, "there is none");
}

#[test]
fn what_is_no_recording_is_told_with_its_line() {
    let start = r#"{"version":1,"at":"2026-01-01T00:00:00Z","release":1,"schema_exit_code":78,"past":{"containers":{},"until":null},"workloads":[]}"#;
    for (text, told) in [
        ("", "line 1 of the recording: it is empty"),
        ("app: shop\n", "line 1 of the recording: expected value"),
        (&start.replace("\"version\":1", "\"version\":2"), "format 2 is newer"),
        (&format!("{start}\n{{}}\n"), "line 2 of the recording: missing field `at`"),
    ] {
        let error = Recording::parse(text).expect_err("it is none").to_string();
        assert!(error.contains(told), "{error}");
    }
}
