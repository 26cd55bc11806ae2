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
    refused.says("refused b2_update_bucket").says("writeBuckets").never_says(backblaze.text("reader"));
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
