//! What is kept of a release, and for how long.

use skep_tests::World;

/// Bytes that no compressor makes smaller, as text.
fn noise(count: usize, mut seed: u64) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let next = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        letters[usize::try_from(seed % 64).expect("below 64")] as char
    };
    (0..count).map(next).collect()
}

#[test]
fn a_release_too_large_for_one_secret_is_kept_in_several() {
    let world = World::new();
    for set in 1..=2 {
        let data = noise(800_000, set);
        let manifest = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: big-{set} }}\ndata: {{ noise: \"{data}\" }}\n"
        );
        world.project.write(&format!("k8s/big-{set}.yaml"), &manifest);
    }
    world.project.edit("skep.yaml", "\nconfig:", "\nkeep-releases: 2\nconfig:");
    world.skep(&["deploy"]).ok();
    let records = || -> Vec<String> {
        let secrets = world.objects("secrets").into_iter();
        let names = secrets.filter_map(|secret| secret["metadata"]["name"].as_str().map(str::to_owned));
        names.filter(|name| name.starts_with("skep.shop.v")).collect()
    };
    assert_eq!(records(), ["skep.shop.v1", "skep.shop.v1.2"]);
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    world.skep(&["rollback"]).ok().says("back to v1");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    world.skep(&["history"]).ok().never_says("v1  ");
    assert_eq!(
        records(),
        ["skep.shop.v2", "skep.shop.v2.2", "skep.shop.v3", "skep.shop.v3.2"],
        "all parts go with a release"
    );

    world.kubectl(&["delete", "secret", "skep.shop.v3.2"]).ok();
    world.skep(&["history"]).ok().says("skep.shop.v3 can't be read: skep.shop.v3.2 is gone").says("v2");
}

#[test]
fn damaged_record_stops_only_what_needs_it() {
    let world = World::new();
    for text in ["one", "two", "three"] {
        world.project.write("release", &format!("{text}\n"));
        world.skep(&["deploy"]).ok();
    }
    let damage = |number: u64| {
        let patch = r#"{"data":{"release":"aHVudGVyMg=="}}"#;
        let name = format!("skep.shop.v{number}");
        world.kubectl(&["patch", "secret", &name, "--type=merge", "-p", patch]).ok();
    };
    damage(2);
    let left_out = "v2 is left out: release record skep.shop.v2 can't be read";
    for command in ["history", "status", "plan"] {
        let told = world.skep(&[command]).ok().says(left_out).says("kubectl delete secret skep.shop.v2");
        told.never_says("hunter2");
        let json = world.skep(&[command, "--output", "json"]).ok().json();
        assert!(
            json.iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains(left_out))),
            "{json:?}"
        );
    }
    world.skep(&["history"]).ok().says("v3").says("v1");
    world
        .skep(&["rollback", "v2"])
        .code(14)
        .says("skep.shop.v2 can't be read")
        .says("hint: restore Secret/skep.shop.v2");
    world.skep(&["show", "v2"]).code(10).says("skep.shop.v2 can't be read");
    // What only that release may need stays.
    world.project.edit("skep.yaml", "\nconfig:", "\nkeep-releases: 1\nconfig:");
    world.project.write("release", "four\n");
    let shipped = world.skep(&["deploy"]).ok().says("nothing is pruned while a release record can't be read");
    drop(shipped);
    assert_eq!(world.get("/").as_deref(), Ok("hello from four\n"));
    world.skep(&["show", "v1"]).ok();
    world.skep(&["rollback", "v1"]).ok().says("back to v1");

    // The newest: its number is not given again, and what went before it is not guessed.
    damage(5);
    world.skep(&["status"]).ok().says("skep.shop.v5 can't be read");
    world.skep(&["rollback"]).code(14).says("skep.shop.v5 can't be read");
    world.project.write("release", "six\n");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from six\n"));
    world.skep(&["history"]).ok().says("v6");
    world.kubectl(&["delete", "secret", "skep.shop.v2", "skep.shop.v5"]).ok();
    world.project.write("release", "seven\n");
    world.skep(&["deploy"]).ok();
    world.skep(&["history"]).ok().never_says("v1 ").never_says("left out");
}

#[test]
fn a_record_of_a_newer_skep_is_refused() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    // `{"format":99}`, compressed.
    let newer = "H4sIAAAAAAACA6tWSssvyk0sUbKytKwFAH6vGjkNAAAA";
    let patch = format!(r#"{{"data":{{"release":"{newer}"}}}}"#);
    world.kubectl(&["patch", "secret", "skep.shop.v1", "--type=merge", "-p", &patch]).ok();
    world.skep(&["history"]).ok().says("skep.shop.v1 has format 99");
    world.skep(&["status"]).ok().says("skep.shop.v1 has format 99");
    let refused = world.skep(&["deploy"]).code(14).says("skep.shop.v1 has format 99");
    refused.says("formats up to 1").says("use a newer Skep");
}

#[test]
fn ten_failed_deploys_in_a_row_leave_the_last_good_one() {
    let world = World::new();
    world.project.edit("skep.yaml", "\nconfig:", "\nkeep-releases: 2\nconfig:");
    world.skep(&["deploy"]).ok();
    world.project.edit(
        "k8s/shop.yaml",
        "          envFrom",
        "          env: [{ name: X, valueFrom: { configMapKeyRef: { name: shop-config, key: NOPE } } }]\n          envFrom",
    );
    for failed in 2..=11 {
        world.project.write("release", &format!("number {failed}\n"));
        world.skep(&["deploy", "--no-restore"]).code(19);
    }
    world.skep(&["rollback"]).ok().says("back to v1");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}
