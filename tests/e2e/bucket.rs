//! The bucket's rules, by the real program against Backblaze's own simulator, and checked by Backblaze's own program.

use serde_json::Value;
use skep_tests::{Backblaze, World};

#[test]
fn rules_are_planned_applied_and_verified_and_backblaze_s_own_program_finds_them() {
    let Some(backblaze) = Backblaze::start() else { return };
    let world = World::without_hive();
    backblaze.described(&world, "keyId", "key");
    world
        .skep(&["bucket", "lifecycle", "verify"])
        .code(11)
        .says("+ uploads/: hidden after 7 days, deleted 1 day later");
    let planned = world.skep(&["bucket", "lifecycle", "plan"]).code(2);
    planned.says("+ uploads/").says("hint: `skep bucket lifecycle apply -t local`");
    world.skep(&["bucket", "lifecycle", "apply"]).ok().says("honeyDueExample: + uploads/");
    world.skep(&["bucket", "lifecycle", "plan"]).ok().says("are as skep.yaml has them");
    world.skep(&["bucket", "lifecycle", "apply"]).ok().says("are as skep.yaml has them");
    let seen = backblaze.b2("b2 bucket get honeyDueExample").ok();
    let seen: Value = serde_json::from_str(&seen.stdout).expect("b2 prints JSON");
    let prefixes: Vec<&str> = seen["lifecycleRules"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|rule| rule["fileNamePrefix"].as_str())
        .collect();
    assert_eq!(prefixes, ["logs/", "uploads/"], "{seen}");

    world.skep(&["bucket", "cors", "plan"]).code(2).says("+ https://example.com: PUT, GET");
    world.skep(&["bucket", "cors", "apply"]).ok();
    world.skep(&["bucket", "cors", "verify"]).ok();
    let seen = backblaze.b2("b2 bucket get honeyDueExample").ok().says("s3_put").says("https://example.com");
    assert!(!seen.stdout.contains("s3_post"), "B2 takes no forms: {seen}");
    world.project.edit("skep.yaml", "https://example.com", "https://example.org");
    let planned = world.skep(&["bucket", "cors", "plan"]).code(2).says("+ https://example.org: PUT, GET");
    planned.says("- https://example.com: PUT, GET");
    world.skep(&["bucket", "cors", "apply"]).ok();
    world.skep(&["bucket", "cors", "verify"]).ok();
    let seen = backblaze.b2("b2 bucket get honeyDueExample").ok().says("https://example.org");
    assert!(!seen.stdout.contains("https://example.com"), "an origin that is not wanted any more: {seen}");

    // Somebody else changes it by hand; the line that `show` prints for hands puts it right.
    let alone = "b2 bucket update --lifecycle-rule '{\"fileNamePrefix\":\"\",\"daysFromUploadingToHiding\":30,\"daysFromHidingToDeleting\":1}' honeyDueExample";
    backblaze.b2(alone).ok();
    let found = world.skep(&["bucket", "lifecycle", "verify"]).code(11).says("+ uploads/");
    found.says("! the rule `everything: hidden after 30 days, deleted 1 day later` reaches `files/`, which is to be kept");
    let shown = world.skep(&["bucket", "lifecycle", "show"]).ok().says("b2_update_bucket");
    let line = shown
        .stdout
        .lines()
        .find(|line| line.trim().starts_with("b2 bucket update"))
        .expect("a line for hands");
    backblaze.b2(line.trim()).ok();
    // Nothing is left to change from here; what somebody else's rule does is told all the same.
    let left = world.skep(&["bucket", "lifecycle", "plan"]).ok();
    assert!(!left.stdout.contains("+ uploads/") && left.stdout.contains("! the rule"), "{left}");
    world.skep(&["bucket", "lifecycle", "verify"]).code(11).says("! the rule");
}

/// Milliseconds since 1970, some days ago.
fn days_ago(days: u64) -> Option<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).ok().map(|now| now - 86_400_000 * days.cast_signed())
}

#[test]
fn lifecycle_apply_refuses_what_would_delete_existing() {
    let Some(backblaze) = Backblaze::start() else { return };
    let world = World::without_hive();
    backblaze.described(&world, "keyId", "key");
    backblaze.put("uploads/attached.jpg", "a photo", days_ago(40), "");
    backblaze.put("uploads/hidden.jpg", "another", None, "");
    backblaze.put("uploads/hidden.jpg", "", None, "hidden");
    backblaze.put("uploads/large.pdf", "", None, "unfinished");
    backblaze.put("uploads/new.jpg", "new", days_ago(2), "");
    backblaze.put("files/kept.jpg", "kept", days_ago(90), "");
    let counted = "would hide or delete 3 objects (1 current, 1 older version, 1 unfinished upload;";
    let planned =
        world.skep(&["bucket", "lifecycle", "plan"]).code(2).says(counted).says("uploads/attached.jpg");
    planned.never_says("files/kept.jpg");
    let json = world.skep(&["bucket", "lifecycle", "plan", "--output", "json"]).code(2).json();
    assert!(json.iter().any(|line| line["type"] == "bucket-existing" && line["count"] == 3), "{json:?}");
    let rules = || backblaze.b2("b2 bucket get honeyDueExample").ok().stdout;
    let apply = |agreed: &str| world.skep(&["bucket", "lifecycle", "apply", "--delete-existing", agreed]);
    let refused = world.skep(&["bucket", "lifecycle", "apply"]).code(1).says(counted);
    refused.says("hint: copy what is needed").says("--delete-existing 3");
    apply("2").code(1).says("--delete-existing says 2, and the lifecycle rules would hide or delete 3");
    backblaze.put("uploads/late.jpg", "late", days_ago(9), "");
    apply("3").code(1).says("--delete-existing 4");
    assert!(!rules().contains("uploads/"), "nothing was set: {}", rules());
    apply("4").ok();
    assert!(rules().contains("uploads/"));

    // A rule that waits longer deletes nothing more; one that comes sooner does.
    world.project.edit("skep.yaml", "days-to-hide: 7", "days-to-hide: 9");
    world.skep(&["bucket", "lifecycle", "apply"]).ok();
    world.project.edit("skep.yaml", "days-to-hide: 9", "days-to-hide: 1");
    world.skep(&["bucket", "lifecycle", "apply"]).code(1).says("--delete-existing 5");
    // A key that may not list does not let it pass.
    let (key_id, key) = (backblaze.text("readerId"), backblaze.text("reader"));
    world.project.write("bucket.env", &format!("B2_KEY_ID={key_id}\nB2_APP_KEY={key}\n"));
    world.skep(&["bucket", "lifecycle", "apply"]).code(1).says("listFiles to count");
}

#[test]
fn interrupted_bucket_copy_resumes() {
    let Some(backblaze) = Backblaze::start() else { return };
    let world = World::without_hive();
    backblaze.described(&world, "keyId", "key");
    for number in 0..230 {
        backblaze.put(&format!("uploads/{number:03}"), &format!("photo {number}"), None, "");
    }
    backblaze.put("files/229", "of somebody else", None, "");
    let copy = ["bucket", "copy", "uploads/", "files/"];
    let dry = world.skep(&["bucket", "copy", "uploads/", "files/", "--dry-run"]).code(1);
    dry.says("229 would be copied").says("1 conflicts");
    let mut stopped = world.command(&copy);
    let mut child = stopped.stderr(std::process::Stdio::piped()).spawn().expect("Skep starts");
    let mut lines = std::io::BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut lines, &mut line).expect("progress");
    assert!(line.contains("100 objects"), "{line}");
    child.kill().expect("killed");
    child.wait().expect("ended");

    let resumed = world.skep(&["bucket", "copy", "uploads/", "files/", "--output", "json"]).code(1);
    let report = resumed.json().into_iter().find(|line| line["type"] == "bucket-copy").expect("a report");
    let (copied, there) = (report["copied"].as_u64().unwrap_or(0), report["there"].as_u64().unwrap_or(0));
    assert!(there >= 100 && copied + there == 229, "{report}");
    assert_eq!(report["conflicts"], serde_json::json!(["uploads/229"]));
    world.skep(&copy).code(1).says("0 copied and verified (0 bytes), 229 already there, 1 conflicts");
    let listed = backblaze.b2("b2 ls --recursive b2://honeyDueExample").ok().stdout;
    assert_eq!(listed.lines().filter(|line| line.contains("uploads/")).count(), 230, "nothing is deleted");
    assert_eq!(listed.lines().filter(|line| line.contains("files/")).count(), 230);
    world.skep(&["bucket", "copy", "uploads/", "uploads/x/"]).code(1).says("overlap");
}

#[test]
fn case_52_a_deploy_tells_what_the_bucket_lacks_and_ships_all_the_same() {
    let Some(backblaze) = Backblaze::start() else { return };
    let world = World::new();
    backblaze.described(&world, "readerId", "reader");
    let shipped = world.skep(&["deploy"]).ok();
    let shipped =
        shipped.says("bucket honeyDueExample: its lifecycle rules differ from skep.yaml: + uploads/");
    shipped.says("`skep bucket lifecycle apply -t local`").never_says(backblaze.text("reader"));
    let refused = world.skep(&["bucket", "lifecycle", "apply"]).code(1);
    refused.says("refused b2_list_file_versions").says("writeBuckets").never_says(backblaze.text("reader"));
    world.skep(&["check"]).ok().says("its lifecycle rules differ");

    // With the right key it is one command, and then nothing is said of it.
    let (key_id, key) = (backblaze.text("keyId"), backblaze.text("key"));
    world.project.write("bucket.env", &format!("B2_KEY_ID={key_id}\nB2_APP_KEY={key}\n"));
    world.skep(&["bucket", "lifecycle", "apply"]).ok();
    world.skep(&["bucket", "cors", "apply"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok().never_says("bucket honeyDueExample");
    // A store that is away holds nobody up.
    drop(backblaze);
    world.project.write("release", "three\n");
    world.skep(&["deploy"]).ok().says("did not answer (asked for b2_authorize_account)");
}
