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
    world.skep(&["history"]).code(10).says("skep.shop.v3 can't be read: skep.shop.v3.2 is gone");
}

#[test]
fn a_record_of_a_newer_skep_is_refused() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    // `{"format":99}`, compressed.
    let newer = "H4sIAAAAAAACA6tWSssvyk0sUbKytKwFAH6vGjkNAAAA";
    let patch = format!(r#"{{"data":{{"release":"{newer}"}}}}"#);
    world.kubectl(&["patch", "secret", "skep.shop.v1", "--type=merge", "-p", &patch]).ok();
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
