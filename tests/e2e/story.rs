//! The story of a deploy, as its first user lives it.

use std::fs;

use skep_tests::World;

#[test]
fn up_ships_the_app_and_up_again_changes_nothing() {
    let world = World::before_any_hive();
    let first = world.skep(&["up"]).ok().says("shop v1 is live on local");
    let port = if world.is_hive() { format!(":{}", world.port()) } else { String::new() };
    assert!(first.stdout.contains(&format!("http://shop.localhost{port}/")), "{first}");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    let generation = world.object("deployment", "shop")["metadata"]["generation"].clone();

    world.skep(&["up"]).ok().says("nothing was changed").says("release v1 runs");
    assert_eq!(world.object("deployment", "shop")["metadata"]["generation"], generation);
    let history = world.skep(&["history", "--output", "json"]).ok().json();
    assert_eq!(history.len(), 1, "an empty plan makes no release");
}

#[test]
fn a_changed_file_is_built_pushed_and_rolled_and_nothing_else() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok().says("v2 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    // The layer with the program is the same: only the small one was sent.
    world.project.write("release", "three\n");
    let third = world.skep(&["deploy", "--output", "json"]).ok().json();
    let pushed = third.iter().find(|line| line["type"] == "pushed").expect("the image is pushed");
    let bytes = pushed["bytes"].as_u64().expect("bytes");
    assert!((1..100_000).contains(&bytes), "{bytes} bytes were sent for a file of six");
}

#[test]
fn a_config_key_rolls_its_readers_alone() {
    let world = World::new();
    let deployment =
        fs::read_to_string(world.project.dir().join("k8s/shop.yaml")).expect("written by the harness");
    let other = deployment.replace("shop }", "idle }").replace("app: shop", "app: idle");
    let other = other.replace("          envFrom: [{ configMapRef: { name: shop-config } }]\n", "");
    world.project.write("k8s/idle.yaml", &other);
    world.skep(&["deploy"]).ok();
    let template = |name: &str| world.object("deployment", name)["spec"]["template"].clone();
    let (shop, idle) = (template("shop"), template("idle"));

    world.project.write("shop.env", "GREETING=good morning\n");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("good morning from one\n"));
    assert_ne!(template("shop"), shop);
    assert_eq!(template("idle"), idle, "a service that does not read the key must not roll");
    // The copy under the plain name is for people and kubectl.
    assert_eq!(world.object("configmap", "shop-config")["data"]["GREETING"], "good morning");
}

#[test]
fn changed_env_rolls_that_service_and_changed_replicas_make_no_new_replica_set() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    let sets = || world.objects("replicasets").len();
    assert_eq!(sets(), 1);
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    world.skep(&["deploy"]).ok();
    assert_eq!(sets(), 1, "a replica count is not part of the template");
    assert_eq!(world.object("deployment", "shop")["status"]["readyReplicas"], 3);
    world.project.edit(
        "k8s/shop.yaml",
        "          envFrom",
        "          env: [{ name: COLOUR, value: blue }]\n          envFrom",
    );
    world.skep(&["deploy"]).ok();
    assert_eq!(sets(), 2);
}

#[test]
fn a_generated_secret_is_made_once_and_never_shown() {
    let world = World::new();
    world.project.edit(
        "skep.yaml",
        "\nconfig:",
        "\nsecrets: { shop-secrets: { generate: [SECRET_KEY] } }\nconfig:",
    );
    world.project.edit("k8s/shop.yaml", "envFrom: [", "envFrom: [{ secretRef: { name: shop-secrets } }, ");
    let first = world.skep(&["deploy", "--output", "json"]).ok();
    let value =
        world.object("secret", "shop-secrets")["data"]["SECRET_KEY"].as_str().expect("generated").to_owned();
    assert!(value.len() >= 32);
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    assert_eq!(
        world.object("secret", "shop-secrets")["data"]["SECRET_KEY"],
        value.as_str(),
        "it is made once"
    );
    let clear = String::from_utf8(decode(&value)).expect("text");
    first.never_says(&clear);
    let names: Vec<String> = world
        .objects("secrets")
        .iter()
        .map(|s| s["metadata"]["name"].as_str().unwrap_or("").to_owned())
        .collect();
    assert!(names.iter().any(|name| name.starts_with("shop-secrets-")), "it has a version: {names:?}");
}

/// The standard alphabet of RFC 4648, padding ignored: not worth a dependency of the tests.
fn decode(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut have) = (0_u32, 0);
    for symbol in text.bytes().filter(|byte| *byte != b'=') {
        let value = alphabet.iter().position(|letter| *letter == symbol).expect("base64");
        bits = bits << 6 | u32::try_from(value).expect("below 64");
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push(u8::try_from(bits >> have & 0xff).expect("a byte"));
        }
    }
    bytes
}

#[test]
fn an_object_whose_manifest_goes_away_is_removed() {
    let world = World::new();
    world.project.write("k8s/extra.yaml", "apiVersion: v1\nkind: Service\nmetadata: { name: extra }\nspec: { selector: { app: shop }, ports: [{ port: 81, targetPort: 8000 }] }\n");
    world.skep(&["deploy"]).ok();
    world.object("service", "extra");
    world.project.remove("k8s/extra.yaml");
    world.skep(&["deploy"]).ok();
    world.kubectl(&["get", "service", "extra"]).says("NotFound");
    world.object("service", "shop");
}

#[test]
fn skip_build_ships_config_and_a_tag_ships_a_commit() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "never built\n");
    world.project.write("shop.env", "GREETING=bonjour\n");
    world.skep(&["deploy", "--skip-build"]).ok().says("images of release v1");
    assert_eq!(world.get("/").as_deref(), Ok("bonjour from one\n"));
    world.skep(&["deploy", "--tag", "d3708e6"]).code(13).says("no image of shop carries the tag `d3708e6`");
}

#[test]
fn one_service_is_shipped_and_the_others_stay() {
    let world = World::new();
    world.project.add_idle();
    world.skep(&["deploy", "shop"]).code(14).says("nothing is deployed yet");
    world.skep(&["deploy"]).ok();
    let idle = world.object("deployment", "idle")["spec"]["template"].clone();
    world.project.write("release", "two\n");
    world.project.edit("k8s/idle.yaml", "periodSeconds: 1", "periodSeconds: 2");
    world.skep(&["deploy", "shop"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    assert_eq!(world.object("deployment", "idle")["spec"]["template"], idle, "idle was not asked for");
}

#[test]
fn status_history_and_logs_tell_what_runs() {
    let world = World::new();
    world.skep(&["status"]).ok().says("nothing is deployed");
    world.skep(&["history"]).ok().says("no release yet");
    world.skep(&["deploy"]).ok();
    world.skep(&["status"]).ok().says("2/2 ready");
    let status = world.skep(&["status", "--output", "json"]).ok().json();
    assert_eq!(status[0]["services"][0]["available"], 2);
    world.skep(&["history"]).ok().says("v1").says("deployed");
    world.skep(&["logs", "shop"]).ok().says("release one listens on");
    world.skep(&["logs", "nope"]).code(10).says("it has shop");
}

#[test]
fn down_stops_everything_up_brings_it_back_and_wipe_forgets() {
    let Some(world) = World::on_hive("`down` stops hive") else { return };
    world.skep(&["deploy"]).ok();
    world.skep(&["down"]).ok().says("hive is stopped");
    assert!(world.get("/").is_err());
    world.skep(&["hive", "status"]).ok().says("not running");
    world.skep(&["up"]).ok().says("nothing was changed");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    world.skep(&["down", "--wipe"]).ok();
    assert!(!world.hive_dir().exists());
}

#[test]
fn help_fits_one_screen_and_completions_are_printed() {
    let world = World::without_hive();
    let help = world.skep(&["--help"]).ok();
    assert!(help.stdout.lines().count() <= 48, "{help}");
    assert!(help.stdout.lines().all(|line| line.chars().count() <= 80), "{help}");
    world.skep(&["completions", "bash"]).ok().says("_skep()");
    world.skep(&["deploi"]).code(64).says("deploy");
}

#[test]
fn json_is_one_versioned_object_a_line() {
    let world = World::new();
    let lines = world.skep(&["deploy", "--output", "json"]).ok().json();
    assert!(lines.iter().all(|line| line["v"] == 1 && line["type"].is_string() && line["at"].is_string()));
    let steps: Vec<&str> =
        lines.iter().filter(|l| l["type"] == "step-finished").filter_map(|l| l["step"].as_str()).collect();
    assert_eq!(
        steps,
        ["load", "check", "build", "push", "plan", "lock", "stage", "apply", "roll", "record", "prune"]
    );
    assert_eq!(lines.last().expect("a last line")["type"], "done");
}

#[test]
fn quiet_says_only_the_result() {
    let world = World::new();
    let quiet = world.skep(&["deploy", "--quiet"]).ok();
    assert_eq!(quiet.stderr, "");
    assert_eq!(quiet.stdout.lines().count(), 1, "{quiet}");
}
