//! The gallery of broken deploys, each shipped for real: the diagnosis names the true cause and no other, soon after the cluster shows it, and
//! the same verdict follows once more from what was recorded.

use std::{collections::VecDeque, fs, path::Path, sync::Mutex, thread};

use serde_json::Value;
use skep_tests::gallery::{Case, Expected, Shipped};

/// How many run at once: most of the time they wait for a crash to come again.
const AT_ONCE: usize = 6;

/// How long after the cluster has shown it a failure may be told, with the log read and the registry asked, while five others are shipped
/// on the same two cores; `make bench` has the figures of each alone.
const TOLD_WITHIN: u64 = 1_500;

#[test]
fn every_broken_deploy_is_told_by_its_true_cause_and_no_sound_one_is() {
    let (queue, wrong) = (Mutex::new(VecDeque::from(Case::all())), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            // Named, so that a case that is not run says which test it is of.
            let thread = thread::Builder::new().name("gallery".to_owned());
            let spawned = thread.spawn_scoped(scope, || {
                while let Some(case) = next(&queue) {
                    if let Err(why) = run(&case) {
                        wrong.lock().expect("unpoisoned").push(format!("=== {}: {why}", case.name));
                    }
                }
            });
            spawned.expect("a thread can be made");
        }
    });
    let wrong = wrong.into_inner().expect("unpoisoned");
    assert!(wrong.is_empty(), "{} cases are told wrongly\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_docs_name_each_cause_of_the_gallery() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(root.join("../docs/deployment/06-when-it-fails.md")).expect("the chapter");
    let causes = Case::all().into_iter().filter_map(|case| case.expected.cause);
    let missing: Vec<String> = causes.filter(|cause| !docs.contains(&format!("| `{cause}` |"))).collect();
    assert!(missing.is_empty(), "docs/deployment/06-when-it-fails.md lacks {missing:?}");
}

fn next(queue: &Mutex<VecDeque<Case>>) -> Option<Case> {
    queue.lock().expect("unpoisoned").pop_front()
}

fn run(case: &Case) -> Result<(), String> {
    let Some(shipped) = case.ship() else { return Ok(()) };
    compare(&case.expected, &shipped)?;
    let replayed = if case.expected.well { None } else { shipped.replayed() };
    told(&case.name, &shipped, replayed.as_ref());
    let Some(replayed) = replayed else { return Ok(()) };
    if replayed["same"] != true {
        return Err(format!("judged once more it is another:\n{replayed:#}"));
    }
    match replayed["millis_to_verdict"].as_u64() {
        Some(millis) if millis > TOLD_WITHIN => Err(format!("it was told {millis} ms after it had shown")),
        _ => Ok(()),
    }
}

fn compare(expected: &Expected, shipped: &Shipped) -> Result<(), String> {
    let outcome = &shipped.outcome;
    let lines = outcome.json();
    let error = lines.iter().find(|line| line["type"] == "error").cloned().unwrap_or_default();
    let failed = |why: String| Err(format!("{why}\n{error:#}\nexit code {:?}", outcome.code));
    if outcome.code != Some(expected.code) {
        return failed(format!("expected exit code {}", expected.code));
    }
    let causes: Vec<&Value> =
        error["causes"].as_array().into_iter().flatten().map(|one| &one["cause"]).collect();
    if let Some(cause) = &expected.cause
        && (causes.is_empty() || causes.iter().any(|found| *found != cause.as_str()))
    {
        return failed(format!("expected the cause {cause} alone, found {causes:?}"));
    }
    let message = error["message"].as_str().unwrap_or_default();
    if let Some(text) = expected.says.iter().find(|text| !message.contains(*text)) {
        return failed(format!("expected `{text}` in the message"));
    }
    let hint = error["hint"].as_str().unwrap_or_default();
    if let Some(text) = expected.hints.iter().find(|text| !hint.contains(*text)) {
        return failed(format!("expected `{text}` in the hint"));
    }
    if !expected.well && (hint.is_empty() || expected.says.is_empty() || expected.cause.is_none()) {
        return failed("a broken deploy has a cause, words and a hint".to_owned());
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the figures are for whoever reads the test's output")]
fn told(name: &str, shipped: &Shipped, replayed: Option<&Value>) {
    let millis = replayed.and_then(|line| line["millis_to_verdict"].as_u64());
    let after = millis.map(|millis| format!(", told {millis} ms after it had shown")).unwrap_or_default();
    eprintln!("{name}: {:.1} s, exit code {:?}{after}", shipped.took.as_secs_f64(), shipped.outcome.code);
}
